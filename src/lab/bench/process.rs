//! What the kernel knows of processes: CPU time, memory, and who listens on a port. Linux only; elsewhere every question
//! is answered with "unknown", and the report says "not measured".

/// A process whose CPU time is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process(pub u32);

impl Process {
    /// This one.
    pub(super) fn own() -> Self {
        Self(std::process::id())
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::time::Duration;

    use procfs::{
        net::{self, TcpState},
        process::{self, FDTarget, Stat},
    };

    use super::Process;

    impl Process {
        /// The one that listens on this port of this machine; the parent, where children have inherited the socket.
        pub(in super::super) fn listening_on(port: u16) -> Option<Self> {
            let tables = [net::tcp(), net::tcp6()].into_iter().flatten().flatten();
            let listening =
                tables.filter(|entry| entry.state == TcpState::Listen && entry.local_address.port() == port);
            let inodes: Vec<u64> = listening.map(|entry| entry.inode).collect();
            let holders: Vec<i32> = all()
                .filter(|process| holds(process, &inodes))
                .map(|process| process.pid)
                .collect();
            let is_child = |pid: i32| {
                let stat = process::Process::new(pid).and_then(|process| process.stat());
                stat.is_ok_and(|stat| holders.contains(&stat.ppid))
            };
            let first = holders.iter().copied().find(|pid| !is_child(*pid))?;
            Some(Self(first.unsigned_abs()))
        }

        /// The CPU time of the process itself.
        pub(in super::super) fn cpu(self) -> Option<Duration> {
            let stat = self.look()?.stat().ok()?;
            Some(ticks(stat.utime + stat.stime))
        }

        /// The CPU time of the process and of all its descendants, those that have ended among them.
        pub(in super::super) fn cpu_of_tree(self) -> Option<Duration> {
            let root = self.look()?.stat().ok()?;
            let stats: Vec<Stat> = all().filter_map(|process| process.stat().ok()).collect();
            let (mut family, mut next) = (vec![&root], 0);
            while let Some(parent) = family.get(next).map(|stat| stat.pid) {
                family.extend(stats.iter().filter(|stat| stat.ppid == parent));
                next += 1;
            }
            let reaped = |stat: &Stat| (stat.cutime + stat.cstime).unsigned_abs();
            let spent = family.iter().map(|stat| stat.utime + stat.stime + reaped(stat));
            Some(ticks(spent.sum()))
        }

        /// Resident memory now, in bytes.
        pub(in super::super) fn resident(self) -> Option<u64> {
            Some(self.look()?.status().ok()?.vmrss? * 1024)
        }

        /// The most resident memory that it ever had, in bytes.
        pub(in super::super) fn peak_resident(self) -> Option<u64> {
            Some(self.look()?.status().ok()?.vmhwm? * 1024)
        }

        fn look(self) -> Option<process::Process> {
            process::Process::new(i32::try_from(self.0).ok()?).ok()
        }
    }

    fn ticks(count: u64) -> Duration {
        Duration::from_secs_f64(count as f64 / procfs::ticks_per_second() as f64)
    }

    fn all() -> impl Iterator<Item = process::Process> {
        process::all_processes().into_iter().flatten().flatten()
    }

    /// Processes of other users cannot be looked into: they hold nothing as far as we know.
    fn holds(process: &process::Process, sockets: &[u64]) -> bool {
        let files = process.fd().into_iter().flatten().flatten();
        files
            .into_iter()
            .any(|file| matches!(file.target, FDTarget::Socket(inode) if sockets.contains(&inode)))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn finds_itself() {
            let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listening.local_addr().unwrap().port();
            assert_eq!(Process::listening_on(port), Some(Process::own()));
            let own = Process::own().cpu();
            assert!(own.is_some());
            assert!(Process::own().cpu_of_tree() >= own);
            let resident = Process::own().resident().unwrap();
            // Not compared: the kernel counts them at different times.
            assert!(resident > 0 && Process::own().peak_resident().unwrap() > 0);
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Process {
    pub(super) fn listening_on(_: u16) -> Option<Self> {
        None
    }

    pub(super) fn cpu(self) -> Option<std::time::Duration> {
        None
    }

    pub(super) fn cpu_of_tree(self) -> Option<std::time::Duration> {
        None
    }

    pub(super) fn resident(self) -> Option<u64> {
        None
    }

    pub(super) fn peak_resident(self) -> Option<u64> {
        None
    }
}
