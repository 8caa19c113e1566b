//! An address that leads where it is told to, as a virtual address or a proxy in front of a cluster does.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lacuna::clock::Stopwatch;

/// Forwards connections of loopback until it is dropped.
pub struct Forwarder {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The port that it leads to; `None`: connections are closed at once.
    target: Mutex<Option<u16>>,
    /// Both ends of every connection.
    open: Mutex<Vec<TcpStream>>,
    /// What is held up on its way to the server, and for how long.
    held_up: Mutex<Option<(Vec<u8>, Duration)>>,
    ended: AtomicBool,
}

impl Forwarder {
    /// Leads to a port.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let forwarder = Self {
            port: listener.local_addr().unwrap().port(),
            shared: Arc::default(),
        };
        forwarder.lead_to(port);
        let shared = Arc::clone(&forwarder.shared);
        std::thread::spawn(move || accept(&listener, &shared));
        forwarder
    }

    /// Where it listens.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// From now on it leads there, and nowhere else: what is connected is cut.
    pub fn lead_to(&self, port: u16) {
        *self.shared.target.lock().unwrap() = Some(port);
        self.shared.cut();
    }

    /// From now on it leads nowhere.
    pub fn lead_nowhere(&self) {
        *self.shared.target.lock().unwrap() = None;
        self.shared.cut();
    }

    /// Whatever a client says that has these words, in whatever case, is held up for so long.
    pub fn hold_up(&self, words: &str, by: Duration) {
        *self.shared.held_up.lock().unwrap() = Some((words.to_ascii_lowercase().into_bytes(), by));
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.lead_nowhere();
        // Whoever waits for the next connection gets one more, and sees that it is over.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl Shared {
    fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            // It may have been closed already.
            let _closed = stream.shutdown(Shutdown::Both);
        }
    }

    fn delay_of(&self, said: &[u8]) -> Option<Duration> {
        let held_up = self.held_up.lock().unwrap();
        let (words, by) = held_up.as_ref()?;
        said.windows(words.len())
            .any(|window| window.eq_ignore_ascii_case(words))
            .then_some(*by)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((client, _)) = listener.accept() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        // The lock is held until both ends are noted, so that none is missed by a cut.
        let target = shared.target.lock().unwrap();
        let Some(server) = target.and_then(|port| TcpStream::connect(("127.0.0.1", port)).ok()) else {
            continue;
        };
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
            shared.open.lock().unwrap().push(stream.try_clone().unwrap());
        }
        drop(target);
        let (to_server, to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let delays = Arc::clone(shared);
        std::thread::spawn(move || pass_on(client, to_server, |said| delays.delay_of(said)));
        std::thread::spawn(move || pass_on(server, to_client, |_| None));
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, delay: impl Fn(&[u8]) -> Option<Duration>) {
    let mut buffer = [0; 65_536];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if let Some(by) = delay(&buffer[..n]) {
            let held_up = Stopwatch::start();
            while held_up.elapsed() < by {
                std::thread::park_timeout(by.saturating_sub(held_up.elapsed()));
            }
        }
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    // The other direction may have ended already.
    let _closed = to.shutdown(Shutdown::Both);
    let _closed = from.shutdown(Shutdown::Both);
}
