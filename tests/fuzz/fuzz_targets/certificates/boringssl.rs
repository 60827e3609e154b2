//! What Envoy has `BoringSSL` do with a certificate and its key.

use boring::error::ErrorStack;
use boring::pkey::PKey;
use boring::ssl::{SslContext, SslMethod};
use boring::x509::X509;

/// Why a server cannot be made of a chain and its key.
pub(crate) fn check(chain: &str, key: &str) -> Result<(), ErrorStack> {
    let mut context = SslContext::builder(SslMethod::tls())?;
    let mut certificates = X509::stack_from_pem(chain.as_bytes())?.into_iter();
    let leaf = certificates.next().ok_or_else(ErrorStack::get)?;
    context.set_certificate(&leaf)?;
    for issuer in certificates {
        context.add_extra_chain_cert(issuer)?;
    }
    context.set_private_key(&*PKey::private_key_from_pem(key.as_bytes())?)?;
    context.check_private_key()
}
