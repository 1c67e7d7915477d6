//! A region restored from an old copy of its file: it is told by the hub or by its own stream, takes no orders, and goes on
//! under a new incarnation, with what it did meanwhile told again and what it forgot listed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use http::Method;
use serde_json::Value;
use tomato_tests::city::tracker::Tracker;
use tomato_tests::client::Request;
use tomato_tests::compare::{settle, verify};
use tomato_tests::process::workspace_program;
use tomato_tests::stack::{Stack, StackPlan};
use tomato_tests::wait::poll_until;

use crate::Town;

const RATE: f64 = 120.0;
const LIMIT: Duration = Duration::from_secs(180);

fn run(program: &str, args: &[&str], config: &Path) -> Output {
    Command::new(workspace_program(program).unwrap())
        .args(args)
        .arg("--config")
        .arg(config)
        .output()
        .unwrap()
}

fn told_of(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// `/readyz` of the region, once its check "history" is as wanted.
async fn history(stack: &Stack, wanted: impl Fn(&Value) -> bool) -> Value {
    let readyz = Request::new(Method::GET, "/readyz?verbose");
    poll_until("/readyz to know the file's history", LIMIT, async || {
        let answer = stack.nodes[0].server.public().send(&readyz).await.ok()?;
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        let check = body["checks"]
            .as_array()?
            .iter()
            .find(|check| check["name"] == "history")?
            .clone();
        wanted(&check).then_some(check)
    })
    .await
    .unwrap()
}

fn agreed(check: &Value) -> bool {
    check["ok"] == false
        && check["detail"]
            .as_str()
            .is_some_and(|text| text.contains("incarnation new"))
}

struct Scene {
    stack: Stack,
    node: PathBuf,
    hub: PathBuf,
}

impl Scene {
    async fn new() -> Self {
        let mut stack = Stack::prepare(StackPlan::default().region("blr").rate(RATE)).unwrap();
        stack.start().await.unwrap();
        let (node, hub) = (stack.folder().join("blr.toml"), stack.folder().join("hub.toml"));
        Self { stack, node, hub }
    }

    async fn sell(&self, orders: u64, seed: u64) {
        let town = Town::open(&self.stack, "blr", seed).await;
        town.serve(orders, async {}).await;
        drop(town);
    }

    /// Hub and region say the same, and every event was applied.
    async fn settled(&self) {
        let found = settle(&self.stack, &Tracker::default(), LIMIT).await.unwrap();
        assert_eq!(found.differences, Vec::<String>::new());
    }

    /// Puts the copy in the place of the region's file. With `broker`, the broker's files are gone, too.
    fn restore(&mut self, copy: &Path, broker: bool) {
        let data = self.stack.node("blr").server.data().to_owned();
        for end in ["db-wal", "db-shm"] {
            drop(std::fs::remove_file(data.join("region").with_extension(end)));
        }
        std::fs::copy(copy, data.join("region.db")).unwrap();
        if broker {
            std::fs::remove_dir_all(data.join("nats/store")).unwrap();
        }
    }

    /// The operator's command while the node is stopped.
    async fn renew(&mut self) -> String {
        let running = run("tomato-node", &["incarnation", "new"], &self.node);
        assert!(
            !running.status.success() && told_of(&running).contains("in use"),
            "{}",
            told_of(&running)
        );
        self.stack.node("blr").server.stop().await.unwrap();
        let done = run("tomato-node", &["incarnation", "new"], &self.node);
        assert!(done.status.success(), "{}", told_of(&done));
        let again = run("tomato-node", &["incarnation", "new"], &self.node);
        assert!(
            !again.status.success() && told_of(&again).contains("nothing to decide"),
            "{}",
            told_of(&again)
        );
        self.stack.node("blr").server.start().await.unwrap();
        told_of(&done)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_copy_is_fenced_and_goes_on_under_a_new_incarnation() {
    let mut scene = Scene::new().await;
    scene.sell(4, 31).await;
    let copy = scene.stack.folder().join("copy.db");
    let to = ["backup", "--to", copy.to_str().unwrap()];
    let made = run("tomato-node", &to, &scene.node);
    assert!(
        made.status.success() && told_of(&made).contains("4 orders"),
        "{}",
        told_of(&made)
    );
    scene.sell(3, 32).await;
    scene.settled().await;
    scene.stack.node("blr").server.stop().await.unwrap();
    scene.restore(&copy, false);
    scene.stack.node("blr").server.start().await.unwrap();

    history(&scene.stack, agreed).await;
    let refused = scene.stack.node("blr").api.send(&pause()).await.unwrap();
    assert_eq!(refused.status, 503);
    let problem: Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(problem["code"], "region_fenced", "{problem}");
    let seen = scene
        .stack
        .hub()
        .api
        .send(&Request::new(Method::GET, "/v1/regions"))
        .await
        .unwrap();
    let seen: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(seen["regions"][0]["fenced"], true, "{seen}");

    let done = scene.renew().await;
    assert!(done.contains("incarnation   2"), "{done}");
    scene.sell(3, 33).await;
    scene.settled().await;
    let lost = run("tomato-hub", &["region", "forgotten"], &scene.hub);
    let lost = told_of(&lost);
    assert_eq!(
        lost.lines()
            .filter(|line| line.ends_with("unknown to the region"))
            .count(),
        3,
        "{lost}"
    );
    scene.stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_copy_that_sold_while_cut_off_loses_none_of_it() {
    let mut scene = Scene::new().await;
    scene.sell(3, 41).await;
    let copy = scene.stack.folder().join("copy.db");
    let to = ["backup", "--to", copy.to_str().unwrap()];
    assert!(run("tomato-node", &to, &scene.node).status.success());
    scene.sell(2, 42).await;
    scene.settled().await;
    scene.stack.stop().await.unwrap();
    // The machine is replaced while the hub is away: nobody can know, and the region sells.
    scene.restore(&copy, true);
    scene.stack.node("blr").server.start().await.unwrap();
    scene.sell(4, 43).await;
    let check = history(&scene.stack, |_| true).await;
    assert_eq!(check["ok"], true);
    scene.stack.hub().server.start().await.unwrap();
    history(&scene.stack, agreed).await;
    let done = scene.renew().await;
    assert!(
        done.contains("incarnation   2") && !done.contains("told again    0 events"),
        "{done}"
    );
    scene.settled().await;
    scene.sell(2, 44).await;
    scene.settled().await;
    let lost = told_of(&run("tomato-hub", &["region", "forgotten"], &scene.hub));
    assert_eq!(
        lost.lines()
            .filter(|line| line.ends_with("unknown to the region"))
            .count(),
        2,
        "{lost}"
    );
    scene.stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_names_each_row_that_is_not_the_same() {
    let mut scene = Scene::new().await;
    scene.sell(3, 51).await;
    // Until nothing is to come any more, so that nothing covers up what is planted.
    let region = scene.stack.node("blr").server.data().join("region.db");
    poll_until("timers to run out", LIMIT, async || {
        let region = rusqlite::Connection::open(&region).ok()?;
        let timers: i64 = region
            .query_row("SELECT count(*) FROM timers", [], |row| row.get(0))
            .ok()?;
        (timers == 0).then_some(())
    })
    .await
    .unwrap();
    scene.settled().await;
    let all = verify(&scene.stack).unwrap();
    assert!(all.contains("3 orders, 0 differences"), "{all}");
    // Behind the hub's back, one of each kind.
    let file = scene.stack.hub().server.data().join("hub.db");
    let hub = rusqlite::Connection::open(file).unwrap();
    hub.busy_timeout(LIMIT).unwrap();
    hub.execute_batch("DROP TRIGGER entries_stay; DROP TRIGGER entries_are_kept")
        .unwrap();
    let one = |sql: &str| assert_eq!(hub.execute(sql, []).unwrap(), 1, "{sql}");
    one("UPDATE orders SET total_minor = total_minor + 1 WHERE order_id = (SELECT min(order_id) FROM orders)");
    one("DELETE FROM orders WHERE order_id = (SELECT max(order_id) FROM orders)");
    one("UPDATE events SET payload = x'00' WHERE seq = 7");
    one("DELETE FROM events WHERE seq = 9");
    let booked = "SELECT DISTINCT seq FROM entries ORDER BY seq";
    let nth = |n: usize| -> i64 {
        hub.query_row(&format!("{booked} LIMIT 1 OFFSET {n}"), [], |row| row.get(0))
            .unwrap()
    };
    let (changed, gone) = (nth(0), nth(1));
    one(&format!(
        "UPDATE entries SET amount_minor = amount_minor + 1 WHERE seq = {changed} AND n = 0"
    ));
    one(&format!("DELETE FROM entries WHERE seq = {gone} AND n = 1"));
    let told = verify(&scene.stack).unwrap_err();
    for row in [
        "event 7 is".to_owned(),
        "event 9 is".to_owned(),
        format!("entries of event {changed} are"),
        format!("entries of event {gone} are"),
    ] {
        assert!(told.contains(&format!("  {row} not the same")), "{row}: {told}");
    }
    assert_eq!(told.matches("  ord_").count(), 2, "{told}");
    let chain = format!("the ledger: the posting of event {changed}, or one before it, is not as it was written");
    assert!(told.contains(&chain), "{told}");
    assert!(
        told.contains("the hub has nothing") && told.contains("2 orders, 7 differences"),
        "{told}"
    );
    scene.stack.node("blr").server.stop().await.unwrap();
    let hub = scene.stack.folder().join("hub.toml");
    let silent = run("tomato-hub", &["verify", "--patience-s", "1"], &hub);
    assert!(!silent.status.success() && told_of(&silent).contains("blr cannot be asked"));
    scene.stack.stop().await.unwrap();
}

/// Something that an operator may ask for at any time.
fn pause() -> Request {
    Request::new(Method::PUT, "/v1/region")
        .header("idempotency-key", "pause-of-a-restored-region")
        .json(&serde_json::json!({ "paused": true, "reason": "restored" }))
}
