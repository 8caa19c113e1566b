//! Parses arguments, runs, and maps what happened to an exit code.
#![forbid(unsafe_code)]

use clap::Parser;

/// Messages are taken in on one thread and let go on another; jemalloc does that with a sixth less CPU for the whole
/// worker than glibc's allocator (measured with `lacuna bench`, side by side). librdkafka uses it too (a feature of the
/// crate), which saves another 3 %; how many arenas it has and how soon it gives memory back: `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    lacuna::program::Program::parse().run()
}
