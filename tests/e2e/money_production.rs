//! A node as it serves people: the production profile, whose mistakes are all named before it starts, and the fields that it sends
//! to Stripe, held against the types that Stripe publishes.

use std::path::{Path, PathBuf};
use std::process::Command;

use http::Method;
use serde_json::{Value, json};
use tomato_tests::city::world::Size;
use tomato_tests::process::workspace_program;
use tomato_tests::till::Till;

const SIZE: Size = Size {
    restaurants: 1,
    drivers: 1,
    customers: 2,
};
const OK: &str = "pm_card_visa";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_production_node_takes_money_and_names_every_mistake_of_its_file() {
    // Time passes as it does for people: the profile wants that.
    let till = Till::open(SIZE, 1.0, false, |file| file.set("profile", "production")).await;
    let id = till.place(0, OK).await.unwrap();
    till.until_payment(id, "AUTHORISED").await;
    till.deliver(id, 0).await.unwrap();
    till.until_payment(id, "CAPTURED").await;
    till.settle().await;

    let mut file: toml::Table = till.config().await.parse().unwrap();
    file["clock"]["rate"] = 60.0.into();
    file["auth"]["issuers"][0]["issuer"] = "tomato-dev".into();
    let stripe = file["payments"]["stripe"].as_table_mut().unwrap();
    stripe.insert("base_url".into(), "http://api.stripe.com".into());
    stripe.insert("secret_key".into(), "".into());
    stripe.insert("webhook_secret".into(), "".into());
    stripe.insert("return_url".into(), "".into());
    let said = check(&file);
    for wrong in [
        "clock.rate",
        "auth.issuers.0.issuer",
        "payments.stripe.base_url",
        "payments.stripe.secret_key",
        "payments.stripe.webhook_secret",
        "payments.stripe.return_url",
    ] {
        assert!(said.contains(wrong), "{wrong} is not named: {said}");
    }
    file["payments"]["provider"] = "simulated".into();
    assert!(check(&file).contains("payments.provider"));
    till.close().await;
}

/// What `tomato-node check` says of a file that it must not find well.
fn check(file: &toml::Table) -> String {
    let written = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(written.path(), file.to_string()).unwrap();
    let mut command = Command::new(workspace_program("tomato-node").unwrap());
    let output = command
        .arg("check")
        .arg("--config")
        .arg(written.path())
        .output()
        .unwrap();
    assert!(!output.status.success(), "it must not be well");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// Every call that a node makes to Stripe, each field by name and type. The types come with Stripe's own Python library, which is
/// made of the description of its API; where that cannot be had, nothing is checked here, and this is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_that_is_sent_fits_stripes_published_types() {
    let Some(library) = stripes_library() else {
        eprintln!("skipped: Stripe's library cannot be installed here; its fields are checked by name only");
        return;
    };
    let till = Till::open(SIZE, 60.0, false, |file| file).await;
    let given_up = till.place(1, OK).await.unwrap();
    till.until_payment(given_up, "AUTHORISED").await;
    till.customer(1).cancel(given_up).await.unwrap();
    till.until_payment(given_up, "VOIDED").await;
    let id = till.place(0, OK).await.unwrap();
    till.until_payment(id, "AUTHORISED").await;
    till.deliver(id, 0).await.unwrap();
    till.until_payment(id, "CAPTURED").await;
    let tip = json!({"amount_minor": 500});
    let tipped: Value = till
        .customer(0)
        .command(Method::POST, &format!("/v1/orders/{id}/tip"), &tip)
        .await
        .unwrap();
    assert_eq!(tipped["payment"]["tips"][0]["state"], "ASKED");
    let body = json!({"amount_minor": 100, "reason": "quality", "borne_by": "platform"});
    let path = format!("/v1/orders/{id}/refunds");
    till.operator()
        .command::<Value>(Method::POST, &path, &body)
        .await
        .unwrap();
    till.settle().await;
    assert!(till.fake.dispute(&id.to_string()));
    let disputed = async || {
        let order: Value = till.operator().get(&format!("/v1/orders/{id}")).await.ok()?;
        order["payment"]["disputes"][0].is_object().then_some(())
    };
    tomato_tests::wait::wait_until("a dispute", std::time::Duration::from_secs(30), disputed).await;
    let (even, said) = till.reconcile(&["--live"]).await;
    assert!(even, "{said}");
    let sent = till.fake.ledger().sent.clone();
    let calls: std::collections::BTreeSet<_> = sent.keys().map(|(call, _)| call.clone()).collect();
    assert!(calls.len() >= 6, "{calls:?}");
    let rows: Vec<_> = sent
        .iter()
        .map(|((call, field), value)| json!({"call": call, "field": field, "value": value}))
        .collect();
    let written = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(written.path(), json!(rows).to_string()).unwrap();
    let output = Command::new("python3")
        .arg(root().join("tests/provider/stripe_types.py"))
        .args([library.as_path(), written.path()])
        .arg(tomato_tests::provider::fields::API_VERSION)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    eprintln!("{said}");
    till.close().await;
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Installs it into the checkout's tools, once.
fn stripes_library() -> Option<PathBuf> {
    let requirements = root().join("tests/provider/requirements.txt");
    let library = root().join(".tools/stripe");
    let installed = library.join("installed");
    let wanted = std::fs::read_to_string(&requirements).unwrap();
    if std::fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
        return Some(library);
    }
    let output = Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--upgrade",
        ])
        .args(["--require-hashes", "--only-binary", ":all:", "--target"])
        .arg(&library)
        .arg("-r")
        .arg(&requirements)
        .output()
        .ok()?;
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    std::fs::write(&installed, wanted).unwrap();
    Some(library)
}
