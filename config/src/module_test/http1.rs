//! Headers written as HTTP/1.

use proxy_wasm_test::HeaderMap;

use super::suite::join;
use crate::finding::Code;
use crate::testing::Field;

/// The most headers of a message.
const HEADERS: usize = 256;

/// The headers of a request or a response in HTTP/1, as HTTP/2 has them.
pub(super) fn headers(field: &Field<'_>, text: &[u8], is_request: bool) -> Option<HeaderMap> {
    // The text may end without an empty line.
    let text = [text, b"\r\n\r\n"].concat();
    let mut buffer = [httparse::EMPTY_HEADER; HEADERS];
    let parsed =
        if is_request { request(&text, &mut buffer) } else { response(&text, &mut buffer) };
    parsed
        .map_err(|cause| field.report(Code::TestRequestNotValid, format!("{cause}; correct it")))
        .ok()
}

fn request<'t>(text: &'t [u8], buffer: &mut [httparse::Header<'t>]) -> Result<HeaderMap, String> {
    let mut request = httparse::Request::new(buffer);
    request.parse(text).map_err(|error| format!("is not a request in HTTP/1: {error}"))?;
    let target = request.path.unwrap_or_default();
    let mut headers = HeaderMap::from([(":method", request.method.unwrap_or_default())]);
    let is_absolute = !target.starts_with('/');
    if is_absolute {
        let uri: hyper::Uri =
            target.parse().map_err(|error| format!("{target} is not a valid URI: {error}"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(format!("{target} is neither an absolute path nor an absolute URI"));
        };
        headers.add(":scheme", scheme);
        headers.add(":path", uri.path_and_query().map_or("/", |path| path.as_str()));
        headers.add(":authority", authority.as_str());
    } else {
        headers.add(":path", target);
    }
    for header in request.headers.iter() {
        let is_host = header.name.eq_ignore_ascii_case("host");
        match (is_host, is_absolute) {
            (true, true) => {}
            (true, false) => headers.replace(":authority", header.value),
            (false, _) => join(&mut headers, header.name, header.value),
        }
    }
    Ok(headers)
}

fn response<'t>(text: &'t [u8], buffer: &mut [httparse::Header<'t>]) -> Result<HeaderMap, String> {
    let mut response = httparse::Response::new(buffer);
    response.parse(text).map_err(|error| format!("is not a response in HTTP/1: {error}"))?;
    let status = response.code.unwrap_or_default().to_string();
    let mut headers = HeaderMap::from([(":status", status)]);
    for header in response.headers.iter() {
        join(&mut headers, header.name, header.value);
    }
    Ok(headers)
}
