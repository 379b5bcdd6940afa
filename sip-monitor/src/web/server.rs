//! The HTTP server: `/metrics`, `/-/healthy`, `/-/ready`.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Mutex, Semaphore};

use super::{Asker, PATIENCE};
use crate::metrics::exposition::Dialect;
use crate::metrics::{self, Snapshot};

/// Connections at a time. Who finds none waits in the kernel's queue.
const CONNECTIONS: usize = 32;
/// How long a request may take to come, and a connection may stay without one.
const IDLE: Duration = Duration::from_secs(30);
/// How long a connection is kept, however busy: a reader that does not take its answer holds a place for no longer. Who scrapes
/// connects anew then.
const LIFE: Duration = Duration::from_secs(60);
/// What is under way then has so long to end.
const FAREWELL: Duration = Duration::from_secs(10);
/// A loop that did not answer is not asked again so soon: who waited behind the one who asked would each wait as long again.
const STUCK: Duration = Duration::from_secs(1);
/// A snapshot is shared by those who ask so soon after each other: nobody can have the loop take one after the other.
const FRESH: Duration = Duration::from_millis(100);

/// What all connections share.
struct Shared {
    asker: Asker,
    /// The last answer of the loop, and when it came or was given up.
    last: Mutex<Option<(Instant, Option<Arc<Snapshot>>)>>,
}

/// Answers until it is dropped.
pub async fn serve(listener: TcpListener, asker: Asker) {
    serve_for(listener, asker, LIFE, FAREWELL).await;
}

async fn serve_for(listener: TcpListener, asker: Asker, life: Duration, farewell: Duration) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(e) => return tracing::error!("answering Prometheus: {e}"),
    };
    let shared = Arc::new(Shared { asker, last: Mutex::new(None) });
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(e) => {
                // Too many open files, or a connection that went while it waited: neither is over at once.
                tracing::debug!("accepting a connection: {e}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let answer = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(shared.answer(&request).await) }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(16 << 10);
            let connection = http.serve_connection(TokioIo::new(stream), answer);
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = tokio::time::sleep(life) => {
                    connection.as_mut().graceful_shutdown();
                    tokio::time::timeout(farewell, connection).await.unwrap_or(Ok(()))
                }
            };
            if let Err(e) = ended {
                tracing::debug!("answering a request: {e}");
            }
            drop(place);
        });
    }
}

impl Shared {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered\n");
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refusal;
        }
        match request.uri().path() {
            "/metrics" => {
                let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
                self.metrics(Dialect::of_accept(accept)).await
            }
            "/-/healthy" => self.healthy().await,
            "/-/ready" => self.ready().await,
            "/" => text(StatusCode::OK, "sip-monitor\n\n/metrics\n/-/healthy\n/-/ready\n"),
            _ => text(StatusCode::NOT_FOUND, "there are /metrics, /-/healthy and /-/ready\n"),
        }
    }

    async fn metrics(&self, dialect: Dialect) -> Response<Full<Bytes>> {
        let Some(snapshot) = self.snapshot().await else { return stuck() };
        let mut response = Response::new(Full::from(metrics::write(&snapshot, dialect)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(dialect.content_type()));
        response
    }

    /// The loop turns.
    async fn healthy(&self) -> Response<Full<Bytes>> {
        match self.snapshot().await {
            Some(_) => text(StatusCode::OK, "healthy\n"),
            None => stuck(),
        }
    }

    /// It turns, and sees packets of at least one interface.
    async fn ready(&self) -> Response<Full<Bytes>> {
        let Some(snapshot) = self.snapshot().await else { return stuck() };
        let is_watched = |i: &&crate::capture::live::InterfaceStatus| !i.ingress.is_empty() && !i.egress.is_empty();
        let (watched, others): (Vec<_>, Vec<_>) =
            snapshot.interfaces.iter().filter(|i| i.is_expected).partition(is_watched);
        let mut told = String::new();
        watched.iter().for_each(|i| told.push_str(&format!("{}: {} in, {} out\n", i.name, i.ingress, i.egress)));
        for i in &others {
            told.push_str(&format!("{}: not watched: {}\n", i.name, i.note.as_deref().unwrap_or("not there")));
        }
        if watched.is_empty() {
            return text(StatusCode::SERVICE_UNAVAILABLE, format!("no interface is watched\n{told}"));
        }
        text(StatusCode::OK, format!("ready\n{told}"))
    }

    /// One that is fresh. Only one of those who ask asks the loop, the others wait for it and are told the same.
    async fn snapshot(&self) -> Option<Arc<Snapshot>> {
        let mut last = self.last.lock().await;
        if let Some((at, told)) = last.as_ref()
            && at.elapsed() < if told.is_some() { FRESH } else { STUCK }
        {
            return told.clone();
        }
        let told = self.asker.snapshot().await;
        *last = Some((Instant::now(), told.clone()));
        told
    }
}

fn stuck() -> Response<Full<Bytes>> {
    let seconds = PATIENCE.as_secs();
    text(StatusCode::SERVICE_UNAVAILABLE, format!("the capture loop has not answered within {seconds} s\n"))
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::Ask;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// An answer that fits into no socket's buffers.
    fn large() -> Snapshot {
        let interface = crate::capture::live::InterfaceStatus {
            name: "eth0".to_owned(),
            link: 0,
            ifindex: Some(2),
            ingress: "xdp",
            egress: "tcx",
            note: None,
            is_expected: true,
        };
        Snapshot { interfaces: vec![interface; 60_000], ..Snapshot::default() }
    }

    #[tokio::test]
    async fn readers_that_take_nothing_lose_their_places_to_those_who_wait() {
        // Connections inherit the buffer: what the readers do not take must not all fit into it.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(16 << 10).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(64).unwrap().into_std().unwrap();
        let at = listener.local_addr().unwrap();
        let (asker, mut asked) = Asker::new();
        let snapshot = Arc::new(large());
        tokio::spawn(async move {
            while let Some(ask) = asked.recv().await {
                if let Ask::Snapshot(reply) = ask {
                    let _ = reply.send(Arc::clone(&snapshot));
                }
            }
        });
        let short = Duration::from_millis(300);
        tokio::spawn(serve_for(listener, asker, short, short));
        let mut silent = Vec::new();
        for _ in 0..=CONNECTIONS {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(4 << 10).unwrap();
            let mut stream = socket.connect(at).await.unwrap();
            stream.write_all(b"GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            silent.push(stream);
        }
        let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await;
        assert!(read.is_ok() && answer.starts_with("HTTP/1.1 200 "), "{read:?} {answer}");
    }
}
