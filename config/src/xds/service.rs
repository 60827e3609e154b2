//! The gRPC service and its connections.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use futures::future::{Ready, ready};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixListener;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tonic::server::{Grpc, StreamingService};
use tonic::{Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tracing::error;

use super::Shared;
use super::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use super::stream::answers;

const METHOD: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

/// A request lists all resources that a reconnecting Envoy has.
const MAX_REQUEST_BYTES: usize = 64 << 20;

/// The delay before accepting again, if the system lacks resources.
const ACCEPT_RETRY_PERIOD: Duration = Duration::from_millis(100);

/// Serves all clients that connect. Their connections end when this is dropped.
pub(super) async fn accept(listener: UnixListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let service = service_fn(|request| answer(Arc::clone(&shared), request));
                    // A client may disconnect.
                    let _ = http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
            Err(error) => {
                error!(%error, "cannot accept connections from Envoy; retrying");
                sleep(ACCEPT_RETRY_PERIOD).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<hyper::Response<tonic::body::Body>, Infallible> {
    if request.uri().path() != METHOD {
        return Ok(
            Status::unimplemented("only aggregated incremental discovery is supported").into_http()
        );
    }
    let codec = ProstCodec::default();
    let mut grpc = Grpc::new(codec).max_decoding_message_size(MAX_REQUEST_BYTES);
    Ok(grpc.streaming(Service(shared), request).await)
}

struct Service(Arc<Shared>);

type Answers = Pin<Box<dyn Stream<Item = Result<DeltaDiscoveryResponse, Status>> + Send>>;

impl StreamingService<DeltaDiscoveryRequest> for Service {
    type Response = DeltaDiscoveryResponse;
    type ResponseStream = Answers;
    type Future = Ready<Result<Response<Answers>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<DeltaDiscoveryRequest>>) -> Self::Future {
        let answers = answers(Arc::clone(&self.0), request.into_inner());
        ready(Ok(Response::new(Box::pin(answers))))
    }
}
