//! The checks of a certificate and its key that Envoy runs in `BoringSSL`.

use boring::error::ErrorStack;
use boring::pkey::PKey;
use boring::ssl::{SslContext, SslMethod};
use boring::stack::Stack;
use boring::x509::store::X509StoreBuilder;
use boring::x509::{X509, X509StoreContext, X509VerifyError};

/// The reason why a server cannot use a chain and its key.
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

/// Whether a client can read the extensions of each certificate of a chain.
pub(crate) fn is_legible(chain: &str) -> Result<bool, ErrorStack> {
    for certificate in X509::stack_from_pem(chain.as_bytes())? {
        let store = X509StoreBuilder::new()?.build();
        let result =
            X509StoreContext::new()?.init(&store, &certificate, &*Stack::new()?, |context| {
                // No certificate is trusted, so the error shows whether there is
                // another problem.
                drop(context.verify_cert());
                Ok(context.verify_result())
            })?;
        if result == Err(X509VerifyError::INVALID_EXTENSION) {
            return Ok(false);
        }
    }
    Ok(true)
}
