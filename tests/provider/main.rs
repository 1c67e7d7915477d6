//! The provider as a program: `tomato-fake-provider [PORT]`. `POST /_test/confirm/{ord}`, `/_test/refuse/{ord}` act as the
//! customer, `POST /_test/hooks/` takes the node's address, `GET /_test/ledger` sums up.

use std::net::{Ipv4Addr, SocketAddr};

use tomato_tests::provider::Fake;

#[tokio::main]
async fn main() {
    let port = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(8095);
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match tokio::net::TcpListener::bind(addr).await {
        Ok(listener) => {
            let fake = Fake::serve(listener, 1);
            println!("{}", fake.base());
            std::future::pending::<()>().await;
        }
        Err(error) => {
            eprintln!("tomato-fake-provider: {addr}: {error}");
            std::process::exit(1);
        }
    }
}
