//! What the kernel knows of processes: CPU time, memory, and who listens on a port. Linux only; elsewhere every question
//! is answered with "unknown", and the report says "not measured".

use std::{fs, path::Path, time::Duration};

/// The unit of times in `/proc/PID/stat`: Linux has shown hundredths of a second to user space for ever.
const TICK: Duration = Duration::from_millis(10);

/// A process whose CPU time is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process(pub u32);

/// The numbers of `/proc/PID/stat` that are needed here.
struct Stat {
    parent: u32,
    own: u64,
    reaped: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name stands in parentheses and may hold anything, so fields are counted from the last one.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(number(1)?).ok()?,
        own: number(11)? + number(12)?,
        reaped: number(13)? + number(14)?,
    })
}

impl Process {
    /// This one.
    pub(super) fn own() -> Self {
        Self(std::process::id())
    }

    /// The one that listens on this port of this machine; the parent, where children have inherited the socket.
    pub(super) fn listening_on(port: u16) -> Option<Self> {
        let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .filter_map(|path| fs::read_to_string(path).ok())
            .flat_map(|table| {
                table
                    .lines()
                    .filter_map(|line| listener(line, port))
                    .collect::<Vec<_>>()
            })
            .map(|inode| format!("socket:[{inode}]"))
            .collect();
        let holders: Vec<u32> = pids().into_iter().filter(|pid| holds(*pid, &inodes)).collect();
        let is_child = |pid: u32| stat(pid).is_some_and(|stat| holders.contains(&stat.parent));
        holders.iter().copied().find(|pid| !is_child(*pid)).map(Self)
    }

    /// The CPU time of the process itself.
    pub(super) fn cpu(self) -> Option<Duration> {
        Some(ticks(stat(self.0)?.own))
    }

    /// The CPU time of the process and of all its descendants, those that have ended among them.
    pub(super) fn cpu_of_tree(self) -> Option<Duration> {
        let root = stat(self.0)?;
        let stats: Vec<(u32, Stat)> = pids()
            .into_iter()
            .filter_map(|pid| Some((pid, stat(pid)?)))
            .collect();
        let mut family = vec![self.0];
        let mut sum = root.own + root.reaped;
        let mut next = 0;
        while let Some(parent) = family.get(next).copied() {
            for (pid, stat) in stats.iter().filter(|(_, stat)| stat.parent == parent) {
                sum += stat.own + stat.reaped;
                family.push(*pid);
            }
            next += 1;
        }
        Some(ticks(sum))
    }

    /// Resident memory now, in bytes.
    pub(super) fn resident(self) -> Option<u64> {
        self.memory("VmRSS:")
    }

    /// The most resident memory that it ever had, in bytes.
    pub(super) fn peak_resident(self) -> Option<u64> {
        self.memory("VmHWM:")
    }

    fn memory(self, name: &str) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024)
    }
}

fn ticks(count: u64) -> Duration {
    TICK * u32::try_from(count).unwrap_or(u32::MAX)
}

fn pids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// The inode of the socket of a line of `/proc/net/tcp`, if it listens on this port.
fn listener(line: &str, port: u16) -> Option<String> {
    const LISTENING: &str = "0A";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, local) = fields.get(1)?.rsplit_once(':')?;
    let listens = *fields.get(3)? == LISTENING && u16::from_str_radix(local, 16).ok()? == port;
    listens.then(|| fields.get(9).map(ToString::to_string))?
}

/// Processes of other users cannot be looked into: they hold nothing as far as we know.
fn holds(pid: u32, sockets: &[String]) -> bool {
    let Ok(files) = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd")) else {
        return false;
    };
    files
        .filter_map(|file| fs::read_link(file.ok()?.path()).ok())
        .any(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let line = "42 (a ) b) S 7 42 42 0 -1 4194560 100 0 0 0 11 22 33 44 20 0 9 0 1000 1 2 3";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.parent, stat.own, stat.reaped), (7, 33, 77));
        assert!(parse_stat("nothing").is_none());
        let line = "   0: 0100007F:6F59 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0";
        assert_eq!(listener(line, 0x6f59).as_deref(), Some("12345"));
        assert_eq!(listener(line, 1), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn finds_itself() {
        let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listening.local_addr().unwrap().port();
        assert_eq!(Process::listening_on(port), Some(Process::own()));
        assert!(Process::own().cpu().is_some());
        let own = Process::own().cpu();
        assert!(Process::own().cpu_of_tree() >= own);
        let resident = Process::own().resident().unwrap();
        // Not compared: the kernel counts them at different times.
        assert!(resident > 0 && Process::own().peak_resident().unwrap() > 0);
    }
}
