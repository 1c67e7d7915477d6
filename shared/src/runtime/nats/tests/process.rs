//! The life of the server's process.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::super::*;
use super::bench::*;

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
}

fn alive(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z ")
}

async fn running(server: &ManagedServer) -> u32 {
    server.ready(PATIENCE).await.unwrap();
    until("the pid is known", async || server.pid()).await
}

fn alone(port: u16) -> Option<RegionBroker> {
    Some(RegionBroker {
        server: server(&binary()?, port),
        ..RegionBroker::default()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_comes_back_with_its_streams() {
    let Some(options) = alone(ports::<1>()[0]) else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = ManagedServer::region(&"blr".parse().unwrap(), &options, dir.path()).unwrap();
    let node = client(&server, "blr").await;
    event_stream(&node, "blr").await;
    publish(&node, "tomato.ev.blr.1").await;
    let first = running(&server).await;
    kill(first);
    until("another process runs", async || {
        server.pid().filter(|pid| *pid != first)
    })
    .await;
    server.ready(PATIENCE).await.unwrap();
    let context = async_nats::jetstream::new(node.clone());
    let mut stream = until("the client is back", async || context.get_stream("EV_blr").await.ok()).await;
    assert_eq!(stream.info().await.unwrap().state.messages, 1);
    let second = running(&server).await;
    assert!(server.restarter().restart());
    until("it was restarted", async || server.pid().filter(|pid| *pid != second)).await;
    running(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_and_drop_leave_no_process() {
    let Some(options) = alone(ports::<1>()[0]) else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = ManagedServer::region(&"blr".parse().unwrap(), &options, dir.path()).unwrap();
    let pid = running(&server).await;
    let taken = ManagedServer::region(&"blr".parse().unwrap(), &options, dir.path());
    assert!(
        matches!(taken, Err(BrokerError::InUse { .. })),
        "one process per directory"
    );
    server.stop().await;
    assert!(!alive(pid));
    let server = ManagedServer::region(&"blr".parse().unwrap(), &options, dir.path()).unwrap();
    let pid = running(&server).await;
    drop(server);
    assert!(!alive(pid));
    assert!(!dir.path().join("nats/server.pid").exists());
    for secret in ["server.conf", "passwords.json"] {
        let mode = std::fs::metadata(dir.path().join("nats").join(secret))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_left_by_a_killed_process_is_ended() {
    let Some(options) = alone(ports::<1>()[0]) else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = ManagedServer::region(&"blr".parse().unwrap(), &options, dir.path()).unwrap();
    running(&server).await;
    server.stop().await;
    let nats = dir.path().canonicalize().unwrap().join("nats");
    let mut left = Command::new(&options.server.binary);
    left.arg("-c")
        .arg(nats.join("server.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut left = left.spawn().unwrap();
    std::fs::write(nats.join("server.pid"), left.id().to_string()).unwrap();
    let address = format!("127.0.0.1:{}", options.server.port);
    until("the left one listens", async || {
        tokio::net::TcpStream::connect(&address).await.ok()
    })
    .await;
    let server = ManagedServer::region(&"blr".parse().unwrap(), &options, dir.path()).unwrap();
    until("the left one is ended", async || left.try_wait().unwrap()).await;
    running(&server).await;
    // A pid that means something else by now is left alone.
    server.stop().await;
    std::fs::write(nats.join("server.pid"), std::process::id().to_string()).unwrap();
    let server = ManagedServer::region(&"blr".parse().unwrap(), &options, dir.path()).unwrap();
    running(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_reported_and_outlived() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let Some(options) = alone(holder.local_addr().unwrap().port()) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let server = ManagedServer::region(&"blr".parse().unwrap(), &options, dir.path()).unwrap();
    let error = server.ready(std::time::Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, BrokerError::NotReady { .. }), "{error}");
    drop(holder);
    running(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_is_added_while_the_hub_runs() {
    let Some(mut bench) = Bench::new() else { return };
    let hub = bench.start_hub();
    let at_hub = client(&hub, "hub").await;
    let pid = running(&hub).await;
    let options = bench.enrol("blr");
    let region = bench.start("blr", &options);
    let at_blr = client(&region, "blr").await;
    event_stream(&at_blr, "blr").await;
    hub.reload(&bench.users).unwrap();
    linked(&at_hub, "blr").await;
    assert_eq!(hub.pid(), Some(pid), "without a restart");
    assert!(
        hub.reload(&[LeafUser {
            region: "ams".parse().unwrap(),
            public_nkey: "UNKNOWN".into()
        }])
        .is_err()
    );
    assert!(region.reload(&[]).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn store_limit_follows_the_disk() {
    let Some(mut options) = alone(ports::<1>()[0]) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    options.server.max_file_store_bytes = 1 << 59;
    let server = ManagedServer::region(&"blr".parse().unwrap(), &options, dir.path()).unwrap();
    assert!(server.max_file_store_bytes() < 1 << 59);
    running(&server).await;
}

/// Not a test of its own: the process that the next one kills.
#[tokio::test]
#[ignore = "run by a_killed_parent_takes_its_server_along"]
async fn parent_to_be_killed() {
    let Some(dir) = std::env::var_os("TOMATO_TEST_DIR") else {
        return;
    };
    let Some(options) = alone(ports::<1>()[0]) else { return };
    let _server = ManagedServer::region(&"blr".parse().unwrap(), &options, Path::new(&dir)).unwrap();
    std::future::pending().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_parent_takes_its_server_along() {
    if binary().is_none() || !super::super::binary::has_setpriv() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut parent = Command::new(std::env::current_exe().unwrap());
    parent.args([
        "--ignored",
        "--exact",
        "runtime::nats::tests::process::parent_to_be_killed",
    ]);
    parent
        .env("TOMATO_TEST_DIR", dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut parent = parent.spawn().unwrap();
    let pid_file = dir.path().join("nats/server.pid");
    let read = async || std::fs::read_to_string(&pid_file).ok()?.trim().parse::<u32>().ok();
    let pid = until("the server runs", read).await;
    // From here on the signal is armed: setpriv has become the server.
    let is_server = async || {
        std::fs::read_to_string(format!("/proc/{pid}/comm"))
            .ok()
            .filter(|c| c.starts_with("nats"))
    };
    until("setpriv has become the server", is_server).await;
    parent.kill().unwrap();
    parent.wait().unwrap();
    until("the server is gone", async || (!alive(pid)).then_some(())).await;
}
