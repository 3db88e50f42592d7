//! Writes the description of the API to the file named:
//! `cargo run -p needle-web --no-default-features --example openapi -- web/openapi.json`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("name the file to write, such as web/openapi.json")?;
    std::fs::write(&path, needle_web::openapi_json())?;
    Ok(())
}
