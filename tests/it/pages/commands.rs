//! Commands in pages: those in fenced shell blocks are parsed as the program itself parses them, those in the text are
//! compared with its subcommands and options. Nothing is run here.

use clap::{Command, CommandFactory, Parser, error::ErrorKind};
use lacuna::program::Program;

use super::markdown::Page;

/// Stands for the value of a variable, whatever it is.
const SOME_ID: &str = "0192f3c1-7a10-7c4e-9d5b-0e6f3a1c2b4d";

/// Commands that the program does not accept.
pub fn not_accepted(page: &Page) -> Vec<String> {
    let blocks = in_blocks(page)
        .into_iter()
        .filter_map(|(number, arguments)| Some(page.at(number, &refused(&arguments)?)));
    let spans = page
        .spans()
        .into_iter()
        .filter(|(_, span)| span.starts_with("lacuna "))
        .filter_map(|(number, span)| Some(page.at(number, &unknown_word(span)?)));
    blocks.chain(spans).collect()
}

/// The arguments of every call of `lacuna` in a page's shell blocks, each with its line.
fn in_blocks(page: &Page) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for (number, text) in shell_lines(page) {
        for words in simple_commands(&text) {
            let program = words.iter().position(|word| !is_assignment(word));
            let words = &words[program.unwrap_or(words.len())..];
            match words {
                [first, arguments @ ..] if first == "lacuna" => found.push((number, arguments.to_vec())),
                [first, second, ..] if first == "cargo" && second == "run" => {
                    let at = words.iter().position(|word| word == "--");
                    found.extend(at.map(|at| (number, words[at + 1..].to_vec())));
                }
                _ => {}
            }
        }
    }
    found
}

/// The lines of a page's shell blocks; one that ends in a backslash goes on in the next.
pub fn shell_lines(page: &Page) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for line in page.lines() {
        if !matches!(line.fence, Some("sh" | "bash" | "console")) {
            goes_on = false;
            continue;
        }
        let text = line.text.trim_end_matches('\\');
        match lines.last_mut() {
            Some((_, last)) if goes_on => {
                last.push(' ');
                last.push_str(text);
            }
            _ => lines.push((line.number, text.to_owned())),
        }
        goes_on = line.text.ends_with('\\');
    }
    lines
}

/// A line of the shell as its simple commands, each as its words. Quotes are taken away, redirections and comments too.
fn simple_commands(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words) = (Vec::new(), Vec::new());
    let (mut word, mut quote, mut in_word) = (String::new(), None, false);
    let mut letters = line.chars().peekable();
    let end_word = |word: &mut String, in_word: &mut bool, words: &mut Vec<String>| {
        if std::mem::take(in_word) {
            words.push(std::mem::take(word));
        }
    };
    while let Some(c) = letters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.push(c),
            (None, '\'' | '"') => (quote, in_word) = (Some(c), true),
            (None, '#') if !in_word => break,
            (None, '|' | ';' | '&') => {
                end_word(&mut word, &mut in_word, &mut words);
                commands.push(std::mem::take(&mut words));
            }
            (None, '>' | '<') => {
                end_word(&mut word, &mut in_word, &mut words);
                while letters.next_if(|c| c.is_whitespace() || *c == '>').is_some() {}
                while letters.next_if(|c| !c.is_whitespace()).is_some() {}
            }
            (None, c) if c.is_whitespace() => end_word(&mut word, &mut in_word, &mut words),
            (None, c) => {
                word.push(c);
                in_word = true;
            }
        }
    }
    end_word(&mut word, &mut in_word, &mut words);
    commands.push(words);
    commands
}

fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map(|(name, _)| name);
    name.is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
}

/// Why the program does not accept these arguments.
fn refused(arguments: &[String]) -> Option<String> {
    let values = arguments
        .iter()
        .map(|word| if word.starts_with('$') { SOME_ID } else { word });
    let error = Program::try_parse_from(std::iter::once("lacuna").chain(values)).err()?;
    let asks_for_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    (!asks_for_help).then(|| format!("lacuna {}: {error}", arguments.join(" ")))
}

/// The subcommand or option of a span that there is not. Capitals and what is in brackets are placeholders.
fn unknown_word(span: &str) -> Option<String> {
    let root = Program::command();
    let mut command: &Command = &root;
    for word in span.split_whitespace().skip(1) {
        if let Some(option) = word.strip_prefix("--") {
            let name = option.split(['=', '|', ']']).next().unwrap_or_default();
            if !has_option(&root, command, name) {
                return Some(format!("{span}: there is no option --{name}"));
            }
        } else if command.has_subcommands() {
            for name in word.split('|') {
                let next = command.find_subcommand(name);
                if next.is_none() && name != "help" {
                    return Some(format!("{span}: there is no subcommand {name}"));
                }
                // Of `topics create|list` nothing but options can follow.
                command = next.filter(|_| !word.contains('|')).unwrap_or(command);
            }
            if word.contains('|') {
                return None;
            }
        }
    }
    None
}

fn has_option(root: &Command, command: &Command, name: &str) -> bool {
    let known = |command: &Command| {
        command
            .get_arguments()
            .any(|argument| argument.get_long() == Some(name))
    };
    matches!(name, "help" | "version") || known(command) || known(root)
}
