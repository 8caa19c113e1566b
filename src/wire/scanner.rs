//! A cursor over JSON text: it recognises the tokens of RFC 8259 and builds nothing from them.
//!
//! It never recurses and never allocates, so the text may be as deep and as hostile as it likes.

/// The text is not JSON at this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// A string as it stands in the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quoted<'a> {
    /// With its quotes.
    pub(super) text: &'a str,
    /// Whether it holds an escape, so that its text is not its value.
    pub(super) escaped: bool,
    /// Whether one of its escapes is a NUL.
    pub(super) nul: bool,
}

/// A place in a JSON text.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// The bytes at which a run of plain string bytes ends: the quote, the backslash and the control characters.
const STOPS: [bool; 256] = {
    let mut stops = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        stops[byte] = true;
        byte += 1;
    }
    stops[b'"' as usize] = true;
    stops[b'\\' as usize] = true;
    stops
};

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte, which stays.
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space, which stays.
    pub(super) fn peek_token(&mut self) -> Option<u8> {
        loop {
            match self.peek() {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                other => return other,
            }
        }
    }

    /// Passes the byte that was just looked at.
    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    /// Passes this byte, after white space.
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek_token() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(Malformed)
        }
    }

    /// Passes `true`, `false`, `null` or a number, and returns its text.
    pub(super) fn scalar(&mut self, first: u8) -> Result<&'a str, Malformed> {
        let start = self.at;
        match first {
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            b'-' | b'0'..=b'9' => self.number()?,
            _ => return Err(Malformed),
        }
        self.text.get(start..self.at).ok_or(Malformed)
    }

    /// Passes a string, whose opening quote is next.
    pub(super) fn string(&mut self) -> Result<Quoted<'a>, Malformed> {
        let start = self.at;
        self.at += 1;
        let (mut escaped, mut nul) = (false, false);
        loop {
            let rest = self.text.as_bytes().get(self.at..).ok_or(Malformed)?;
            self.at += rest
                .iter()
                .position(|byte| STOPS[usize::from(*byte)])
                .ok_or(Malformed)?;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    let text = self.text.get(start..self.at).ok_or(Malformed)?;
                    return Ok(Quoted { text, escaped, nul });
                }
                Some(b'\\') => {
                    escaped = true;
                    nul |= self.escape()?;
                }
                _ => return Err(Malformed),
            }
        }
    }

    /// Passes an escape, whose backslash is next; true: it is a NUL.
    fn escape(&mut self) -> Result<bool, Malformed> {
        match self.text.as_bytes().get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(false)
            }
            Some(b'u') => {
                let unit = self.code_unit()?;
                match unit {
                    0xD800..=0xDBFF => {
                        // Half a character: the other half has to follow.
                        let low = self.code_unit()?;
                        if (0xDC00..=0xDFFF).contains(&low) {
                            Ok(false)
                        } else {
                            Err(Malformed)
                        }
                    }
                    0xDC00..=0xDFFF => Err(Malformed),
                    other => Ok(other == 0),
                }
            }
            _ => Err(Malformed),
        }
    }

    /// Passes `\uXXXX`.
    fn code_unit(&mut self) -> Result<u16, Malformed> {
        let bytes = self.text.as_bytes().get(self.at..self.at + 6).ok_or(Malformed)?;
        let [b'\\', b'u', digits @ ..] = bytes else {
            return Err(Malformed);
        };
        let mut unit = 0;
        for digit in digits {
            let value = char::from(*digit).to_digit(16).ok_or(Malformed)?;
            unit = unit << 4 | value;
        }
        self.at += 6;
        u16::try_from(unit).map_err(|_| Malformed)
    }

    fn word(&mut self, word: &'static str) -> Result<(), Malformed> {
        let end = self.at + word.len();
        if self.text.as_bytes().get(self.at..end) != Some(word.as_bytes()) {
            return Err(Malformed);
        }
        self.at = end;
        Ok(())
    }

    fn number(&mut self) -> Result<(), Malformed> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Passes one digit or more.
    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(Malformed) } else { Ok(()) }
    }
}
