//! Real processes: `tomato-hub`, `tomato-node` and their nats-servers, driven only by what people can do: HTTP,
//! WebSocket, and kill -9.
//!
//! | module | shows |
//! |---|---|
//! | [`smoke`] | thirty orders by simulated people, and the hub knows them |
//! | [`kills`] | every process killed again and again under traffic: nothing acknowledged is lost, hub equals region |
//! | [`chaos`] | the network cut in every way, power cuts, full stores, foreign keys: the short runs of `./scripts/chaos` |
//! | [`alone`] | a region that sells without a hub, which catches up when it appears |
//! | [`money`] | every failure of a payment, with the node killed before and after its durable steps |
//! | [`money_provider`] | the provider away, late, unknown; Razorpay; `reconcile` |
//! | [`money_later`] | disputes, forgotten keys, money taken by hand, refunds of single dishes |
//! | [`money_production`] | the production profile; every field sent to Stripe against Stripe's own types |
//! | [`once`] | one Idempotency-Key, one order, the same bytes, also after a kill |
//! | [`order`] | an order from the menu to the rating, one story a promise |
//! | [`directory`] | who owns which cells, asked everywhere, with and without the hub |
//! | [`moves`] | cells that change hands under traffic, with every party killed in the middle |
//! | [`hub_page`] | the hub in a browser: its numbers, its looks, no foreign request |
//! | [`regions`] | regions that come and go while the hub runs |
//! | [`links`] | regions whose link to the hub is TLS, or WebSocket |
//! | [`control`] | what the hub tells a region, in force with and without the hub |
//! | [`restore`] | an old copy of a region's file: fenced, and on under a new incarnation |
//! | [`push`] | devices and partners are told, whatever their services do, across a kill |
//! | [`sockets`] | live clients end with what the server has through kills, and are not harmed by those who do not read |
//! | [`telemetry`] | one trace from the request to the stream, and nobody's address in the log |
//! | [`borders`] | two regions side by side: requests that go to the wrong one, drivers who cross |
//! | [`bad_input`] | what is wrong is refused with the right problem, and changes nothing |

mod alone;
mod bad_input;
mod borders;
mod chaos;
mod control;
mod directory;
mod hub_page;
mod kills;
mod links;
mod money;
mod money_later;
mod money_production;
mod money_provider;
mod moves;
mod once;
mod order;
mod push;
mod regions;
mod restore;
mod smoke;
mod sockets;
mod telemetry;

use tomato_tests::town::Town;
