//! The page of the guide, followed to the letter.

use std::{fs, process::Command};

use super::LIMIT;
use crate::{
    end_to_end::pages::block,
    support::{Program, free_port, service, wait_for},
};

const PAGE: &str = "docs/guide/opendsr.md";

#[test]
fn opendsr_page_erases_somebody_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let (vendor, listener) = (free_port(), free_port());
    // Ports are the test's own; nothing else of the blocks is touched.
    let own = |text: String| {
        text.replace("9000", &vendor.to_string())
            .replace("8080", &listener.to_string())
    };
    let write = |name: &str, text: String| fs::write(folder.path().join(name), own(text)).unwrap();
    write("vendor.py", block(PAGE, "python", 0));
    write("processors.toml", block(PAGE, "toml", 0));
    let config = block(PAGE, "toml", 1);
    write(
        "lacuna.toml",
        format!("{config}\n[http]\nlisten = \"127.0.0.1:8080\"\n"),
    );
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_lacuna"))
        .parent()
        .unwrap();
    let paths = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let command = |program: &str| {
        let mut command = Command::new(program);
        command.current_dir(folder.path()).env("PATH", &paths);
        command
    };
    let run = |script: &str| {
        let output = command("sh").args(["-ec", script]).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{script}\n{}\n{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    };
    let listens = |port: u16| {
        wait_for("somebody listens", LIMIT, || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
    };
    run(&block(PAGE, "sh", 0));
    assert_eq!(block(PAGE, "sh", 1), "python3 vendor.py &");
    let _vendor = Program::start(command(&service("LACUNA_TEST_PYTHON")).arg("vendor.py"));
    listens(vendor);
    run(&block(PAGE, "sh", 2));
    assert_eq!(block(PAGE, "sh", 3), "lacuna serve &");
    let _worker = Program::start(command(env!("CARGO_BIN_EXE_lacuna")).arg("serve"));
    wait_for("the worker is ready", LIMIT, || {
        crate::support::get(listener, "/readyz").filter(|(status, _)| *status == 200)
    });
    let last = own(block(PAGE, "sh", 4));
    run(&last);
    let status = last.lines().last().unwrap();
    wait_for("the person is erased", LIMIT, || {
        run(status).contains("completed").then_some(())
    });
}
