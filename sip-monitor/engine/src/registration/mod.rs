//! Registrations (RFC 3261 10): which Contacts are bound to which address of record. Facts without opinion.

pub mod binding;
mod record;
mod response;
mod table;

pub use binding::{Binding, BindingState, RegisterFailure};
pub use table::RegistrationTable;
