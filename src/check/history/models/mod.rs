//! Models of the usual data types, one file each.

mod counter;
mod key_value;
mod queue;
mod register;
mod set;

pub use counter::{Counter, CounterOp, CounterRet};
pub use key_value::{KeyValue, KeyValueOp, KeyValueRet, Value};
pub use queue::{Queue, QueueOp, QueueRet};
pub use register::{CasRegister, CasRegisterOp, CasRegisterRet, Register, RegisterOp, RegisterRet};
pub use set::{Set, SetOp, SetRet};
