//! A search in numbers: operations to be put in order, without their types. So the search itself is compiled once, with this crate.

/// No end: an operation that may take effect at any time after its invocation.
pub(super) const NEVER: u64 = u64::MAX;
/// No state, no item.
pub(super) const NONE: u32 = u32::MAX;

/// An operation to be put in order.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Its number for [`Steps`].
    pub op: u32,
    /// When it was invoked, as the rank of the moment.
    pub start: u64,
    /// When it ended; [`NEVER`] if nobody knows that it did.
    pub end: u64,
    /// When it ended as recorded; the order in which items are tried.
    pub due: u64,
    /// It may be left out.
    pub optional: bool,
    /// It leaves every state as it is, where it is legal.
    pub observer: bool,
    /// Items of one class are the same in all but their times; [`NONE`] if it is alone.
    pub class: u32,
    /// Its client.
    pub client: u32,
    /// The place of what its client did before, among what must be put in order; [`sorted`] fills it in.
    pub before: u32,
}

/// What is needed of a model.
pub(super) trait Steps {
    /// The state at first.
    fn init(&mut self) -> u32;
    /// The states to which `item`'s operation may lead from `state`.
    fn step(&mut self, state: u32, op: u32, to: &mut Vec<u32>);
    /// Whether the operation overwrites whatever was there, and with what.
    fn overwrites(&mut self, op: u32) -> Option<u32>;
    /// The one state that the operation leaves where it changes anything, if there is only one.
    fn leaves(&mut self, op: u32) -> Option<u32>;
    /// The one state in which the operation is legal, if there is only one.
    fn only_in(&mut self, op: u32) -> Option<u32>;
}

/// Which order is to be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    /// What ended before another was invoked comes before it.
    RealTime,
    /// What a client did comes in the order in which it did it.
    Program,
}

/// What a search may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Steps of the model.
    pub steps: u64,
    /// Words of memory for what was tried.
    pub words: usize,
}

/// What a search found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// An order that the model allows, as places in the list of items.
    Order(Vec<u32>),
    /// There is none; the longest beginning of one.
    Nothing {
        /// As places in the list of items.
        longest: Vec<u32>,
        /// The state behind it.
        state: u32,
    },
    /// The search was given up.
    GaveUp,
}

/// Sorts items as the search wants them: those that must be put in order first, by their start.
pub(super) fn sorted(mut items: Vec<Item>) -> Vec<Item> {
    items.sort_by_key(|i| (i.optional, i.start, i.due));
    let mut required: Vec<usize> = (0..items.len()).filter(|i| !items[*i].optional).collect();
    required.sort_by_key(|i| (items[*i].client, items[*i].start));
    for item in &mut items {
        item.before = NONE;
    }
    for pair in required.windows(2) {
        if items[pair[0]].client == items[pair[1]].client {
            items[pair[1]].before = pair[0] as u32;
        }
    }
    let last = |client, start, items: &[Item]| {
        let at =
            required.partition_point(|i| (items[*i].client, items[*i].start) <= (client, start));
        let last = at.checked_sub(1).map(|i| required[i])?;
        (items[last].client == client).then_some(last as u32)
    };
    for place in required.len()..items.len() {
        let (client, start) = (items[place].client, items[place].start);
        items[place].before = last(client, start, &items).unwrap_or(NONE);
    }
    items
}
