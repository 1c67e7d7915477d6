//! Cells that change hands between three regions while customers order: no order is lost, none is placed twice, and nobody
//! is told anything worse than to ask again. The hub and either region are killed in the middle of it.

mod crowd;

use std::time::Instant;

use rustix::process::Signal;
use tomato_tests::process::{ask_hub, signal};

use crate::directory::{REGIONS, three};
use crowd::{Crowd, all_know_the_map, ask, audit, kitchens, owner, reaches};

const MOVES: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_moves_under_traffic_lose_and_double_no_order() {
    let mut stack = three(1.0).await;
    let kitchens = kitchens(&mut stack, 5).await;
    let folder = stack.folder().to_owned();
    let crowd = Crowd::start(&stack, &kitchens, 4);
    crowd.more_orders(20).await;
    let mut took = Vec::new();
    for turn in 0..MOVES {
        let cell = kitchens[turn % kitchens.len()].cell;
        let from = owner(stack.hub().server.public(), cell).await;
        let at = REGIONS.iter().position(|region| *region == from).unwrap();
        let to = REGIONS[(at + 1 + turn % 2) % REGIONS.len()];
        let began = Instant::now();
        let number = ask(&folder, &from, to, cell);
        reaches(&folder, &number, "done").await;
        took.push(began.elapsed());
        crowd.more_orders(5).await;
        let again = ask_hub(
            &folder,
            &["cells", "move", "--from", &from, "--to", to, &cell.to_string()],
        )
        .unwrap();
        assert!(again.contains("already"), "{again}");
    }
    let seen = crowd.end().await;
    took.sort();
    println!(
        "{MOVES} moves, the middle one in {} ms, the longest in {} ms; {} orders by {} requests, {} of them repeated, the longest \
         wait {} ms; refused {:?}",
        took[MOVES / 2].as_millis(),
        took[MOVES - 1].as_millis(),
        seen.placed.len(),
        seen.requests,
        seen.repeated,
        seen.longest.as_millis(),
        seen.refused
    );
    audit(&mut stack, &kitchens, &seen).await;
    stack.stop().await.unwrap();
}

/// Who is killed, and in which state of the move.
#[derive(Clone, Copy)]
enum Victim {
    Hub,
    Old,
    New,
}

/// A region that is halted holds the move where it is; then the victim is killed and started again, and the move has to end.
async fn killed(victim: Victim) {
    let mut stack = three(1.0).await;
    let kitchens = kitchens(&mut stack, 2).await;
    let folder = stack.folder().to_owned();
    let crowd = Crowd::start(&stack, &kitchens, 2);
    crowd.more_orders(10).await;
    for halted in ["blr", "hyd"] {
        // First while the old owner has yet to stop, then while the new one has yet to fetch.
        let wanted = if halted == "blr" { "leaving" } else { "arriving" };
        let cell = kitchens[usize::from(halted == "hyd")].cell;
        all_know_the_map(&stack, &folder).await;
        let pid = stack.node(halted).server.pid().unwrap();
        assert!(signal(pid, Signal::STOP));
        let number = ask(&folder, "blr", "hyd", cell);
        reaches(&folder, &number, wanted).await;
        let server = match victim {
            Victim::Hub => &mut stack.hub().server,
            Victim::Old => &mut stack.node("blr").server,
            Victim::New => &mut stack.node("hyd").server,
        };
        server.kill9();
        signal(pid, Signal::CONT);
        server.start().await.unwrap();
        reaches(&folder, &number, "done").await;
        assert_eq!(owner(stack.hub().server.public(), cell).await, "hyd");
        crowd.more_orders(5).await;
    }
    let seen = crowd.end().await;
    audit(&mut stack, &kitchens, &seen).await;
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_is_killed_in_the_middle_ends_the_move_when_it_is_back() {
    killed(Victim::Hub).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_owner_that_is_killed_in_the_middle_ends_the_move_when_it_is_back() {
    killed(Victim::Old).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_owner_that_is_killed_in_the_middle_ends_the_move_when_it_is_back() {
    killed(Victim::New).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_is_called_off_and_regions_are_split_and_merged() {
    let mut stack = three(1.0).await;
    let kitchens = kitchens(&mut stack, 2).await;
    let folder = stack.folder().to_owned();
    let crowd = Crowd::start(&stack, &kitchens, 2);
    all_know_the_map(&stack, &folder).await;
    let pid = stack.node("blr").server.pid().unwrap();
    assert!(signal(pid, Signal::STOP));
    let number = ask(&folder, "blr", "hyd", kitchens[0].cell);
    reaches(&folder, &number, "leaving").await;
    assert!(
        ask_hub(&folder, &["cells", "status"])
            .unwrap()
            .contains("waits for blr")
    );
    ask_hub(&folder, &["cells", "cancel", &number]).unwrap();
    reaches(&folder, &number, "cancelled").await;
    signal(pid, Signal::CONT);
    crowd.more_orders(10).await;
    assert_eq!(owner(stack.hub().server.public(), kitchens[0].cell).await, "blr");
    let cell = kitchens[0].cell.to_string();
    let refused = ask_hub(&folder, &["cells", "split", "blr", "--into", "hyd", &cell]);
    assert!(refused.unwrap_err().contains("has cells already"));
    // Everything of blr to hyd, and of hyd to maa; then blr is as empty as a new region, and gets a cell back by a split.
    for (from, into, cell) in [
        ("blr", "hyd", None),
        ("hyd", "maa", None),
        ("maa", "blr", Some(kitchens[1].cell.to_string())),
    ] {
        let verb = if cell.is_some() { "split" } else { "merge" };
        let args: Vec<&str> = ["cells", verb, from, "--into", into]
            .into_iter()
            .chain(cell.as_deref())
            .collect();
        let said = ask_hub(&folder, &args).unwrap();
        reaches(&folder, said.split(' ').nth(1).unwrap(), "done").await;
        crowd.more_orders(5).await;
    }
    assert_eq!(owner(stack.hub().server.public(), kitchens[0].cell).await, "maa");
    assert_eq!(owner(stack.hub().server.public(), kitchens[1].cell).await, "blr");
    let seen = crowd.end().await;
    audit(&mut stack, &kitchens, &seen).await;
    stack.stop().await.unwrap();
}
