//! Completions and manual pages, made from the command line itself.

use super::workspace::Workspace;

#[tokio::test]
async fn every_shell_gets_completions_that_it_can_read() {
    let workspace = Workspace::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = workspace.run(&["completions", shell]).await.expect(0).stdout;
        assert!(script.contains("verify-identity"), "{shell}");
        if shell == "bash" {
            workspace.write("lacuna.bash", &script);
            let completed = tokio::process::Command::new("bash")
                .args(["-c", "source ./lacuna.bash && COMP_WORDS=(lacuna verify-i) COMP_CWORD=1 && _lacuna lacuna verify-i lacuna && echo \"${COMPREPLY[*]}\""])
                .current_dir(workspace.path("."))
                .output()
                .await
                .unwrap();
            let said = String::from_utf8(completed.stdout).unwrap();
            assert_eq!(
                said.trim(),
                "verify-identity",
                "{}",
                String::from_utf8_lossy(&completed.stderr)
            );
        }
    }
    workspace.run(&["completions", "cmd.exe"]).await.expect(2);
}

#[tokio::test]
async fn every_subcommand_has_a_manual_page() {
    let workspace = Workspace::empty();
    let written = workspace.run(&["man", "pages/man1"]).await.expect(0).stdout;
    for page in ["lacuna.1", "lacuna-serve.1", "lacuna-dead-letters-redrive.1"] {
        let text = std::fs::read_to_string(workspace.path(&format!("pages/man1/{page}"))).unwrap();
        assert!(
            text.contains(".SH SYNOPSIS") && text.contains(".SH OPTIONS"),
            "{page}: {text}"
        );
        assert!(written.contains(page), "{written}");
    }
    assert!(!written.contains("help"), "{written}");
    // A file stands where the folder should be.
    workspace.write("file", "");
    let refused = workspace.run(&["man", "file"]).await.expect(2);
    assert!(refused.stderr.contains("file"), "{refused:?}");
}
