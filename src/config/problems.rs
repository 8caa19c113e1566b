//! What is wrong with a file: every mistake, each with its place.

use std::fmt;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, as it was named.
    pub file: String,
    /// The line, counted from 1; `None` where the mistake is in no line, such as a file that cannot be read.
    pub line: Option<usize>,
    /// The key, such as `kafka.bootstrap_servers`; empty where it is about the file as a whole.
    pub key: String,
    /// What is wrong and what was expected. Never a secret: values are not repeated.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Every mistake of one or more files, by file and line. There is at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Puts the mistakes in order; `None` if there are none.
    pub fn new(mut problems: Vec<Problem>) -> Option<Self> {
        // Two readers may trip over the same mistake; it is still one.
        problems.sort();
        problems.dedup();
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// One mistake.
    pub fn of(problem: Problem) -> Self {
        Self(vec![problem])
    }

    /// The one mistake of a file that cannot even be read.
    pub(super) fn of_file(file: &str, line: Option<usize>, message: String) -> Self {
        Self(vec![Problem {
            file: file.to_owned(),
            line,
            key: String::new(),
            message,
        }])
    }

    /// The mistakes, by file and line.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// These mistakes and those of another file.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self.0.sort();
        self.0.dedup();
        self
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        match self.0.len() {
            1 => f.write_str("1 problem"),
            n => write!(f, "{n} problems"),
        }
    }
}

impl std::error::Error for Problems {}
