//! What a report of a failure can be: `SQUALL_REPORT_AS` names them, `page` writes them.

/// A kind of file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// A page that opens from a disk.
    Html,
    /// Chrome's trace events, for Perfetto.
    Perfetto,
    /// An object of JSON a line.
    Lines,
}

impl Form {
    const ALL: [Form; 3] = [Form::Html, Form::Perfetto, Form::Lines];

    /// As the variable names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Form::Html => "html",
            Form::Perfetto => "perfetto",
            Form::Lines => "lines",
        }
    }

    /// What its files' names end in.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Form::Html => "html",
            Form::Perfetto => "perfetto.json",
            Form::Lines => "jsonl",
        }
    }

    /// All names.
    pub(crate) fn names() -> String {
        Form::ALL.map(Form::name).join(", ")
    }

    /// Those that a text names.
    pub(crate) fn list(text: &str) -> Option<Vec<Form>> {
        let form = |name: &str| Form::ALL.into_iter().find(|form| form.name() == name);
        text.split(',').map(form).collect()
    }
}
