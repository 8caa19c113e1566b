//! `[metrics]`: where an agent shows its metrics.

use std::net::SocketAddr;

use crate::config::reader::Section;

/// The listener; `None`: there is none.
pub(super) fn read(section: &Section<'_>) -> Option<SocketAddr> {
    let listen = section.need("listen")?;
    let text = listen.line_of_text()?;
    match text.parse() {
        Ok(address) => Some(address),
        Err(_) => listen.refused("expected an address with a port, such as 127.0.0.1:9464"),
    }
}
