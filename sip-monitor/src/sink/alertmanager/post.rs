//! One request to an Alertmanager, on a connection of its own: there is one a minute, and a connection that a restart of the other
//! end has cut would cost a failure.

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Message;
use crate::config::Endpoint;

/// What is read of an answer: it says why something was refused.
const ANSWER_BYTES: usize = 4 << 10;
/// What is told of it.
const ANSWER_CHARS: usize = 200;

/// Why alerts were not taken.
#[derive(Debug)]
pub enum NotTaken {
    /// Nobody was reached, or nobody who takes any: it may be different next time.
    Now(String),
    /// These are not taken, however often they are sent.
    Ever(String),
}

/// Posts alerts to `/api/v2/alerts`.
///
/// # Errors
/// Why they were not taken.
pub async fn alerts(endpoint: &Endpoint, messages: &[&Message]) -> Result<(), NotTaken> {
    let body = serde_json::to_vec(messages).map_err(|e| NotTaken::Ever(e.to_string()))?;
    let (status, said) = exchange(endpoint, body).await.map_err(NotTaken::Now)?;
    if status.is_success() {
        return Ok(());
    }
    let why = format!("{status} {said}").trim_end().to_owned();
    Err(match status {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => NotTaken::Ever(why),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => NotTaken::Now(format!(
            "{why}: there is no /api/v2/alerts; alertmanager.urls must name Alertmanager itself, with its path prefix where it has one"
        )),
        _ => NotTaken::Now(why),
    })
}

/// Sends a body, and gives the status and the beginning of what is said.
async fn exchange(endpoint: &Endpoint, body: Vec<u8>) -> Result<(StatusCode, String), String> {
    let authority = endpoint.authority();
    let stream = TcpStream::connect(&authority).await.map_err(|e| e.to_string())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let request = Request::post(endpoint.path("/api/v2/alerts"))
        .header(HOST, &authority)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|e| e.to_string())?;
    let exchange = async move {
        let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let status = answer.status();
        let text = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await.map(|body| body.to_bytes());
        let text = text.unwrap_or_default();
        let said: String = String::from_utf8_lossy(&text).trim().chars().take(ANSWER_CHARS).collect();
        Ok((status, said))
    };
    tokio::pin!(connection, exchange);
    // The connection is driven here and not by a task: where this is given up, it is closed.
    tokio::select! {
        answered = &mut exchange => answered,
        closed = &mut connection => match closed {
            Err(e) => Err(e.to_string()),
            Ok(()) => exchange.await,
        },
    }
}
