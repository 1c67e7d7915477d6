//! The hub's page in a real browser, against three regions with traffic: its numbers are the API's, nothing is asked of
//! any other host, axe finds nothing serious, and every page is pictured in `target/screens`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use http::Method;
use tomato_tests::city::plan::phone;
use tomato_tests::client::Request;
use tomato_tests::stack::{Stack, StackPlan};

use super::Town;

const REGIONS: [&str; 3] = ["blr", "bom", "del"];

fn browser_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../hub/tests/browser")
}

/// The browser and what drives it; says what is missing.
fn browser() -> Result<PathBuf, String> {
    let asked = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let usual = [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ];
    let program = asked.or_else(|| usual.iter().map(PathBuf::from).find(|path| path.exists()));
    let program = program.ok_or("no chromium; install it, or name it in CHROMIUM")?;
    let libraries = browser_folder().join("../../web/vendor/node_modules/maplibre-gl");
    if browser_folder().join("node_modules/playwright-core").is_dir() && libraries.is_dir() {
        Ok(program)
    } else {
        Err("playwright-core or the page's libraries are missing; run ./scripts/install-browser-test and build".into())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_of_the_hub_shows_what_the_api_says() {
    let program = match browser() {
        Ok(program) => program,
        Err(missing) => {
            println!("SKIPPED, NOTHING WAS SHOWN: {missing}");
            return;
        }
    };
    let plan = REGIONS
        .into_iter()
        .fold(StackPlan::default().rate(30.0), StackPlan::region);
    let mut stack = Stack::prepare(plan).unwrap();
    stack.start().await.unwrap();
    let mut towns = Vec::new();
    for (seed, region) in (11..).zip(REGIONS) {
        // No more people than there are drivers for: who has ordered is served in the end.
        towns.push(Town::of_pace(&stack, (region, seed), 1.0).await);
    }
    let [blr, bom, del] = &towns[..] else { unreachable!() };
    let nothing = || async {};
    tokio::join!(
        blr.serve(24, nothing()),
        bom.serve(12, nothing()),
        del.serve(6, nothing())
    );
    let newest = Request::new(Method::GET, "/v1/orders?limit=1");
    let newest = stack.hub().api.send(&newest).await.unwrap().json()["orders"][0].clone();
    let customer = newest["customer_id"].as_str().unwrap().to_owned();
    let hub = Asked {
        base: stack.hub().server.base().to_owned(),
        token: stack.issuer.operator(),
        phone: phone(customer.parse().unwrap()),
        customer,
    };
    let drive = async {
        let driven = tokio::task::spawn_blocking(move || drive(&program, &hub));
        driven.await.unwrap();
    };
    // People come as long as the browser looks, however slow the machine is.
    Town::serve_all_while(&[blr, bom, del], drive).await.unwrap();
    drop(towns);
    stack.stop().await.unwrap();
}

/// What the browser is told.
struct Asked {
    base: String,
    token: String,
    /// Of somebody who has ordered.
    phone: String,
    customer: String,
}

fn drive(program: &Path, hub: &Asked) {
    let screens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screens");
    let status = Command::new("node")
        .arg("pages.mjs")
        .current_dir(browser_folder())
        .env("HUB_URL", &hub.base)
        .env("HUB_TOKEN", &hub.token)
        .env("CALLER_PHONE", &hub.phone)
        .env("CALLER_ID", &hub.customer)
        .env("SCREENS", screens)
        .env("CHROMIUM", program)
        .stdin(Stdio::null())
        .status()
        .expect("node is there, as npm was");
    assert!(status.success(), "the page is not right: see above");
}
