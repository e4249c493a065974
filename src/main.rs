//! baton.
fn main() {}
