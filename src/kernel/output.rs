//! What a run printed, as far as it is kept.

/// What a seed wrote to its standard output and error.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Output {
    /// The beginning.
    pub(crate) head: Vec<u8>,
    /// How many bytes are missing between the beginning and the end.
    pub(crate) missing: u64,
    /// The end.
    pub(crate) tail: Vec<u8>,
}

impl Output {
    /// The output as text; a line in its middle says what is missing.
    pub(crate) fn text(&self) -> String {
        if self.missing == 0 {
            let all = [self.head.as_slice(), &self.tail].concat();
            return String::from_utf8_lossy(&all).into_owned();
        }
        let (head, tail) = (
            String::from_utf8_lossy(&self.head),
            String::from_utf8_lossy(&self.tail),
        );
        format!("{head}\n[... {} bytes ...]\n{tail}", self.missing)
    }
}
