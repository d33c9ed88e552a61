//! What does a wheel of a crate hold? This program.

fn main() {
    println!("maturin-crate {}", env!("CARGO_PKG_VERSION"));
}
