use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn config(dir: &Path) -> HubConfig {
    let file = dir.join("hub.toml");
    let text = format!(
        "data_dir = {:?}\n[[auth.issuers]]\nissuer = \"tomato\"\njwks_file = \"none\"\n",
        dir.join("data")
    );
    std::fs::write(&file, text).unwrap();
    HubConfig::load(&file, std::iter::empty()).unwrap()
}

fn public_key(seed_file: &Path) -> String {
    let seed = std::fs::read_to_string(seed_file).unwrap();
    KeyPair::from_seed(seed.trim()).unwrap().public_key()
}

#[test]
fn region_is_added_once_and_its_key_replaced_only_on_demand() {
    let dir = tempfile::tempdir().unwrap();
    let (config, out) = (config(dir.path()), dir.path().join("out"));
    let blr: RegionId = "blr".parse().unwrap();
    let Added::Enrolled(first) = add(&config, &blr, (&out, None), false).unwrap() else {
        panic!("new")
    };
    let mode = std::fs::metadata(&first.seed_file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let key = public_key(&first.seed_file);
    assert_eq!(list(&config).unwrap()[0].public_key, key);

    assert_eq!(add(&config, &blr, (&out, None), false).unwrap(), Added::Exists);
    assert_eq!(public_key(&first.seed_file), key);
    assert!(matches!(
        add(&config, &blr, (&out, None), true).unwrap(),
        Added::Enrolled(_)
    ));
    assert_ne!(public_key(&first.seed_file), key);
    assert_eq!(list(&config).unwrap()[0].public_key, public_key(&first.seed_file));

    assert!(remove(&config, &blr).unwrap());
    assert!(!remove(&config, &blr).unwrap());
    assert!(list(&config).unwrap()[0].removed_at.is_some());
    assert!(matches!(
        add(&config, &blr, (&out, None), false).unwrap(),
        Added::Enrolled(_)
    ));
    let files = std::fs::read_dir(&out).unwrap().count();
    assert_eq!(files, 3, "seed, key and snippet, nothing left over");
}

#[test]
fn snippet_is_what_a_node_reads() {
    #[derive(serde::Deserialize)]
    struct Node {
        broker: tomato_shared::runtime::nats::RegionBroker,
    }
    let dir = tempfile::tempdir().unwrap();
    let blr: RegionId = "blr".parse().unwrap();
    let Added::Enrolled(made) = add(&config(dir.path()), &blr, (dir.path(), None), false).unwrap() else {
        panic!("new")
    };
    let node: Node = toml::from_str(&std::fs::read_to_string(&made.snippet_file).unwrap()).unwrap();
    let leaf = node.broker.leaf.unwrap();
    assert_eq!(leaf.hub_urls, ["nats-leaf://127.0.0.1:7422"]);
    assert_eq!(leaf.seed_file, made.seed_file);
}

#[test]
fn hub_that_has_lost_its_file_takes_the_old_key_again_but_not_a_revoked_one() {
    let dir = tempfile::tempdir().unwrap();
    let (config, out) = (config(dir.path()), dir.path().join("out"));
    let blr: RegionId = "blr".parse().unwrap();
    let key = || match add(&config, &blr, (&out, None), false).unwrap() {
        Added::Enrolled(made) => public_key(&made.seed_file),
        Added::Exists => panic!("not registered"),
    };
    let first = key();
    std::fs::remove_dir_all(dir.path().join("data")).unwrap();
    assert_eq!(key(), first);
    assert!(remove(&config, &blr).unwrap());
    assert_ne!(key(), first, "whoever has the revoked key must not be let in again");
}
