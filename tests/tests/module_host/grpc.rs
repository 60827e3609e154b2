//! The upstream of gRPC calls: a server for Envoy, and its answers in the host.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::HeaderValue;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proxy_wasm_test::{Error, GrpcCall, Plugin};
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};

/// The cluster of the server. It is not an encoded `GrpcService`.
pub(crate) const CLUSTER: &str = "grpc-upstream";

pub(crate) const SERVICE: &str = "tests.Service";

/// What the server does, by the method of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Method {
    /// Sends all messages back, and then status 0.
    Echo,
    /// Sends its initial metadata, and then status 7.
    Deny,
    /// Sends status 7 in its only headers.
    DenyAtOnce,
    /// Sends its initial metadata, and then status 0.
    Empty,
    /// Sends nothing.
    Never,
    /// Is no gRPC server.
    Unavailable,
    /// Resets the stream in place of a response.
    Reset,
    /// Resets the stream when the first message comes.
    ResetLater,
}

impl Method {
    const ALL: [Self; 8] = [
        Self::Echo,
        Self::Deny,
        Self::Empty,
        Self::DenyAtOnce,
        Self::Never,
        Self::Unavailable,
        Self::Reset,
        Self::ResetLater,
    ];

    pub(crate) fn name(self) -> String {
        format!("{self:?}")
    }

    fn of(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|method| method.name() == name);
        found.unwrap_or_else(|| panic!("the gRPC server has no method {name:?}"))
    }
}

/// The status of a call that the server denies, and its message.
const DENIED: (&str, &str) = ("7", "not for you");

pub(crate) struct Server {
    _runtime: Runtime,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start() -> Self {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener =
            runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a listener");
        let address = listener.local_addr().expect("an address");
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let server = http2::Builder::new(TokioExecutor::new());
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service_fn(serve)));
            }
        });
        Self { _runtime: runtime, address }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, Failure>;

async fn serve(request: Request<Incoming>) -> Result<Response<Body>, Failure> {
    let path = request.uri().path().to_owned();
    let method = Method::of(path.rsplit('/').next().unwrap_or_default());
    if method == Method::Never {
        std::future::pending::<()>().await;
    }
    if method == Method::Reset {
        return Err("the server resets the stream".into());
    }
    let metadata = request.headers().get("x-metadata").cloned();
    let mut response = Response::new(body(method, request));
    if method == Method::Unavailable {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return Ok(response);
    }
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("x-path", path.parse().expect("a path"));
    headers.insert("x-got", metadata.unwrap_or(HeaderValue::from_static("nothing")));
    if method == Method::DenyAtOnce {
        headers.extend(status(DENIED));
    }
    Ok(response)
}

fn status((code, message): (&'static str, &'static str)) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(code));
    trailers.insert("grpc-message", HeaderValue::from_static(message));
    trailers
}

fn body(method: Method, request: Request<Incoming>) -> Body {
    let trailers = |trailers| stream::iter([Ok(Frame::trailers(trailers))]);
    let frames = match method {
        // A message stays in its frame.
        Method::Echo => request
            .into_body()
            .into_data_stream()
            .map(|data| Ok(Frame::data(data?)))
            .chain(trailers(status(("0", ""))))
            .boxed(),
        Method::Deny => trailers(status(DENIED)).boxed(),
        Method::Empty => trailers(status(("0", ""))).boxed(),
        Method::ResetLater => request
            .into_body()
            .into_data_stream()
            .map(|_| Err("the server resets the stream".into()))
            .boxed(),
        Method::DenyAtOnce | Method::Never | Method::Unavailable | Method::Reset => {
            return Empty::new().map_err(|never| match never {}).boxed_unsync();
        }
    };
    StreamBody::new(frames).boxed_unsync()
}

/// Does in the host what follows from the calls of the module, and lets `note` see each step.
pub(crate) fn answer(plugin: &Plugin, mut note: impl FnMut()) -> Result<(), Error> {
    for call in plugin.grpc_calls() {
        if call.is_stream {
            answer_stream(plugin, &call, &mut note)?;
        } else {
            answer_call(plugin, &call)?;
        }
        note();
    }
    Ok(())
}

fn method_of(call: &GrpcCall) -> Method {
    Method::of(&String::from_utf8_lossy(&call.method))
}

fn answer_call(plugin: &Plugin, call: &GrpcCall) -> Result<(), Error> {
    match method_of(call) {
        Method::Echo => plugin.grpc_message(call.token, call.messages.concat()),
        Method::Deny | Method::DenyAtOnce => plugin.grpc_close(call.token, 7, DENIED.1),
        Method::Never => plugin.advance(call.timeout.unwrap_or_default()),
        Method::Unavailable => plugin.grpc_close(call.token, 14, ""),
        Method::Reset | Method::ResetLater => plugin.grpc_reset(call.token),
        Method::Empty => plugin.grpc_close(call.token, 0, ""),
    }
}

fn answer_stream(plugin: &Plugin, call: &GrpcCall, note: &mut dyn FnMut()) -> Result<(), Error> {
    let token = call.token;
    let path = ["/", SERVICE, "/", &String::from_utf8_lossy(&call.method)].concat();
    let got = call.initial_metadata.get_str("x-metadata").unwrap_or("nothing").to_owned();
    let mut initial = vec![
        (":status", "200"),
        ("content-type", "application/grpc"),
        ("x-path", &path),
        ("x-got", &got),
        ("date", "now"),
    ];
    if call.is_ended {
        initial.push(("x-envoy-upstream-service-time", "0"));
    }
    let denied = [("grpc-status", DENIED.0), ("grpc-message", DENIED.1)];
    let ok = [("grpc-status", "0"), ("grpc-message", "")];
    let method = method_of(call);
    if matches!(method, Method::Echo | Method::Deny | Method::Empty | Method::ResetLater) {
        plugin.grpc_initial_metadata(token, initial.clone())?;
        note();
    }
    match method {
        Method::Never => Ok(()),
        Method::Echo => echo(plugin, token, note),
        Method::Deny => {
            plugin.grpc_trailing_metadata(token, denied)?;
            plugin.grpc_close(token, 7, DENIED.1)
        }
        Method::DenyAtOnce => {
            plugin.grpc_trailing_metadata(token, [&initial[..], &denied[..]].concat())?;
            plugin.grpc_close(token, 7, DENIED.1)
        }
        Method::Empty => {
            plugin.grpc_trailing_metadata(token, ok)?;
            plugin.grpc_close(token, 0, "")
        }
        Method::Unavailable => plugin.grpc_close(token, 14, ""),
        Method::Reset | Method::ResetLater => plugin.grpc_reset(token),
    }
}

/// Sends the messages of a stream back as long as it is there.
fn echo(plugin: &Plugin, token: u32, note: &mut dyn FnMut()) -> Result<(), Error> {
    let mut sent = 0;
    loop {
        let calls = plugin.grpc_calls();
        let Some(call) = calls.iter().find(|call| call.token == token) else { return Ok(()) };
        if let Some(message) = call.messages.get(sent) {
            sent += 1;
            plugin.grpc_message(token, message.clone())?;
            note();
        } else if call.is_ended {
            plugin.grpc_trailing_metadata(token, [("grpc-status", "0"), ("grpc-message", "")])?;
            return plugin.grpc_close(token, 0, "");
        } else {
            return Ok(());
        }
    }
}
