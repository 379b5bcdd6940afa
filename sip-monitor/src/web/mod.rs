//! What other programs are told over HTTP: Prometheus asks, Alertmanager is pushed to. A thread of its own does both, with a runtime of its own: what it writes, and to how
//! slow a reader, costs the capture loop nothing. It asks that loop for what it must know, one question at a time, and the loop
//! answers between two polls. A loop that does not answer is not healthy, and that is what is told then.

mod server;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::cli::exit::{Code, Failure};
use crate::config::Listen;
use crate::metrics::Snapshot;
use crate::sink::alertmanager::Pusher;
use crate::sink::board::News;

/// A question to the capture loop.
#[derive(Debug)]
pub enum Ask {
    /// All that metrics tell.
    Snapshot(oneshot::Sender<Arc<Snapshot>>),
    /// Which alerts fire, for who has heard of so many ends.
    Alerts(u64, oneshot::Sender<News>),
}

/// Questions that may wait.
const QUESTIONS: usize = 16;
/// How long the loop has to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the capture loop.
#[derive(Clone, Debug)]
pub struct Asker {
    to_loop: mpsc::Sender<Ask>,
}

impl Asker {
    /// One, and the end at which the loop hears the questions.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Ask>) {
        let (to_loop, asked) = mpsc::channel(QUESTIONS);
        (Self { to_loop }, asked)
    }

    /// All that metrics tell; `None` where the loop does not answer in time.
    pub async fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.ask(Ask::Snapshot).await
    }

    /// Which alerts fire, for who has heard of so many ends; `None` where the loop does not answer in time.
    pub async fn alerts(&self, heard: u64) -> Option<News> {
        self.ask(|reply| Ask::Alerts(heard, reply)).await
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.to_loop.try_send(question(reply)).ok()?;
        tokio::time::timeout(PATIENCE, answer).await.ok()?.ok()
    }
}

/// Opens the place where metrics are asked for. Where none is configured, the usual one is used if it can be had: a second
/// instance, or a namespace without loopback, goes without.
///
/// # Errors
/// Where the configured one cannot be had; the error says why and what to do.
pub fn listen(configured: Option<Listen>) -> Result<Option<TcpListener>, Failure> {
    let (at, is_wanted) = match configured {
        Some(Listen::Off) => return Ok(None),
        Some(Listen::At(at)) => (at, true),
        None => (Listen::DEFAULT, false),
    };
    match TcpListener::bind(at).and_then(|listener| listener.set_nonblocking(true).map(|()| listener)) {
        Ok(listener) => {
            tracing::info!("metrics for Prometheus: http://{at}/metrics");
            Ok(Some(listener))
        }
        Err(e) if is_wanted => Err(refused(at, &e)),
        Err(e) => {
            tracing::warn!("no metrics for Prometheus: {at}: {e}; prometheus.listen names another place, or `off`");
            Ok(None)
        }
    }
}

fn refused(at: SocketAddr, e: &std::io::Error) -> Failure {
    let fix = match e.kind() {
        std::io::ErrorKind::AddrInUse => {
            "another program listens there (`ss -ltnp` names it): choose another port with --prometheus or prometheus.listen, or `off`"
        }
        std::io::ErrorKind::AddrNotAvailable => {
            "this host has no such address (`ip address` lists them): correct --prometheus or prometheus.listen"
        }
        std::io::ErrorKind::PermissionDenied => {
            "ports below 1024 need CAP_NET_BIND_SERVICE: choose a higher one with --prometheus or prometheus.listen"
        }
        _ => "correct --prometheus or prometheus.listen, or set it to `off`",
    };
    Failure::new(Code::Unavailable, format!("metrics at {at}: {e}")).fix(fix)
}

/// The thread that answers; ends with the process, or when dropped.
#[derive(Debug)]
pub struct Web {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Web {
    /// Starts it, to answer there and to push with these.
    ///
    /// # Errors
    /// Where the thread or its runtime cannot be started.
    pub fn start(listener: Option<TcpListener>, pushers: Vec<Pusher>, asker: Asker) -> Result<Self, Failure> {
        let starting =
            |e: std::io::Error| anyhow::Error::from(e).context("starting the thread for Prometheus and Alertmanager");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(starting)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("web".into())
            .spawn(move || {
                runtime.block_on(async {
                    for pusher in pushers {
                        tokio::spawn(pusher.run());
                    }
                    if let Some(listener) = listener {
                        tokio::spawn(server::serve(listener, asker));
                    }
                    // Ends when the other side is dropped; what is under way goes with the runtime.
                    let _ = stopped.await;
                });
                // A name that is still being looked up is not waited for.
                runtime.shutdown_background();
            })
            .map_err(starting)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It panicked, or it is over: there is nothing left to answer either way.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_an_error_that_names_the_fix() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let e = listen(Some(Listen::At(taken.local_addr().unwrap()))).unwrap_err();
        assert_eq!(e.code, Code::Unavailable);
        assert!(e.fix.as_ref().is_some_and(|fix| fix.contains("--prometheus")), "{e}");
    }

    #[test]
    fn an_address_of_another_host_is_an_error_that_says_so() {
        let e = listen(Some(Listen::At("192.0.2.1:19060".parse().unwrap()))).unwrap_err();
        assert!(e.to_string().contains("no such address"), "{e}");
    }

    #[test]
    fn off_opens_nothing() {
        assert!(listen(Some(Listen::Off)).unwrap().is_none());
    }
}
