//! `tomato-node`: runs one region; checks a configuration; mints tokens for development; replays dispatch.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use tomato_node::backup;
use tomato_node::clock::Clock;
use tomato_node::config::{Config, DEVELOPMENT_ISSUER};
use tomato_node::incarnation;
use tomato_node::payments::Provider;
use tomato_node::reconcile;
use tomato_node::replay::command as replay;
use tomato_node::{Node, RunError, StartError};
use tomato_shared::runtime::config::load;
use tomato_shared::runtime::jwt::{Claims, Role, SigningKey};
use tomato_shared::runtime::{shutdown, telemetry};
use tomato_shared::time::UnixMs;

/// Any failure, on its way to standard error.
type Failure = Box<dyn std::error::Error>;

#[derive(Debug, Parser)]
#[command(
    version,
    about = "One region of Tomato: orders, stock, drivers and payments of a city in one SQLite file"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the region until SIGINT or SIGTERM. Ends with status 74 where the region's file cannot be written or read (disk full,
    /// I/O error): start it again when there is room, nothing that was answered is lost. With 1 where anything else is wrong.
    Run {
        /// TOML file; TOMATO__SECTION__KEY variables override it.
        #[arg(long)]
        config: PathBuf,
    },
    /// Check a configuration and say everything that is wrong with it.
    Check {
        /// TOML file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Compare what the payment provider moved with the region's books and orders; fails where something is left over.
    Reconcile(Reconcile),
    /// Copy the region's file as of now, beside the running node, and check the copy.
    Backup {
        /// TOML file of the region.
        #[arg(long)]
        config: PathBuf,
        /// The copy; an older one is replaced when the new one is whole. Restore: put it in the place of region.db, without
        /// -wal and -shm, while the node is stopped.
        #[arg(long)]
        to: PathBuf,
    },
    /// Let the region go on from a restored, older copy of its file.
    #[command(subcommand)]
    Incarnation(Incarnation),
    /// Mint a development token with a local key, made at first use.
    Token(Token),
    /// Replay instances of the Meal Delivery Routing Problem through a dispatch policy and check the solution.
    DispatchReplay(replay::Args),
    /// Print the OpenAPI document of the HTTP interface.
    Openapi,
    /// Print the AsyncAPI document of NATS and WebSocket messages.
    Asyncapi,
    /// Print the public keys (JWKS) of a local key, made at first use; for development, and marked so.
    Jwks {
        /// File of the private key.
        #[arg(long)]
        key: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum Incarnation {
    /// While the node is stopped: give up what the hub has beyond this copy, and tell the hub again what was done since it was
    /// restored. Only for a file that the node has found to be an old copy (/readyz, check "history").
    New {
        /// TOML file of the region.
        #[arg(long)]
        config: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct Reconcile {
    /// TOML file of the region; its node may run meanwhile.
    #[arg(long)]
    config: PathBuf,
    /// The provider's side as CSV: id,order,payment,amount_minor,created_s; sent back where negative.
    #[arg(long, required_unless_present = "live", conflicts_with = "live")]
    statement: Option<PathBuf>,
    /// Ask the provider.
    #[arg(long)]
    live: bool,
    /// With --live: since when, in seconds since 1970.
    #[arg(long, default_value_t = 0)]
    since_s: i64,
}

#[derive(Debug, clap::Args)]
struct Token {
    /// What the bearer may act as.
    #[arg(long)]
    role: RoleArg,
    /// Whose token it is: usr_... for customers, restaurant staff and operators, drv_... for drivers.
    #[arg(long)]
    subject: String,
    /// rst_... of a restaurant's staff.
    #[arg(long)]
    restaurant: Option<String>,
    /// Regions it is good for; all if not given.
    #[arg(long)]
    region: Vec<String>,
    /// File of the private key.
    #[arg(long)]
    key: PathBuf,
    /// Seconds until it expires.
    #[arg(long, default_value_t = 900)]
    ttl_s: i64,
    /// What iss says.
    #[arg(long, default_value = DEVELOPMENT_ISSUER)]
    issuer: String,
    /// What aud says.
    #[arg(long, default_value = "tomato")]
    audience: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleArg {
    Customer,
    Restaurant,
    Driver,
    Operator,
    Service,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run { config } => run(&config),
        Command::Check { config } => read(&config).map(|_| say("the configuration is well")),
        Command::Backup { config, to } => copy(&config, &to),
        Command::Incarnation(Incarnation::New { config }) => new_incarnation(&config),
        Command::Token(token) => mint(token),
        Command::Reconcile(wanted) => compare(&wanted),
        Command::DispatchReplay(args) => replay::execute(&args, &mut say).map_err(Failure::from),
        Command::Openapi => {
            say(tomato_node::http::openapi::text().trim_end());
            Ok(())
        }
        Command::Asyncapi => {
            say(tomato_node::http::asyncapi::text().trim_end());
            Ok(())
        }
        Command::Jwks { key } => SigningKey::load_or_create(&key)
            .map(|key| say(&key.development_jwks()))
            .map_err(Failure::from),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(error.as_ref());
            status(error.as_ref())
        }
    }
}

fn read(path: &Path) -> Result<Config, Failure> {
    Ok(load(Some(path), std::env::vars(), "TOMATO")?)
}

fn run(path: &Path) -> Result<(), Failure> {
    let config = read(path)?;
    telemetry::init(&config.log)?;
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was there already");
    }
    tomato_shared::runtime::serve::raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = shutdown::termination()?;
        let node = Node::start(config).await?;
        Ok(node.run(stop).await?)
    })
}

/// `EX_IOERR` of sysexits.h: whoever starts the node again can tell a disk from a mistake.
const DISK_FAILED: u8 = 74;

fn status(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    let starting = error.downcast_ref::<StartError>().is_some_and(StartError::is_of_file);
    if starting || error.downcast_ref() == Some(&RunError::File) {
        ExitCode::from(DISK_FAILED)
    } else {
        ExitCode::FAILURE
    }
}

fn copy(path: &Path, to: &Path) -> Result<(), Failure> {
    let copied = backup::backup(&read(path)?.store_path(), to)?;
    say(&format!(
        "{}: {} orders, {} bytes, up to event {}; checked",
        to.display(),
        copied.orders,
        copied.bytes,
        copied.head_seq
    ));
    Ok(())
}

fn new_incarnation(path: &Path) -> Result<(), Failure> {
    let config = read(path)?;
    let taken = incarnation::take(&config)?;
    say(&format!(
        "incarnation   {}\nagreed up to  event {}: file and hub say the same\ngiven up      what the hub has up to event {}, and nobody here \
         knows: on the hub's machine, `tomato-hub region forgotten` lists the orders\ntold again    {} events since the copy was restored\n\
         The region takes orders again when the node is started.",
        taken.incarnation, taken.agreed_seq, taken.hub_seq, taken.retold
    ));
    Ok(())
}

fn compare(wanted: &Reconcile) -> Result<(), Failure> {
    let config = read(&wanted.config)?;
    let clock = Clock::start(config.clock.epoch, config.clock.rate, UnixMs(0));
    let movements = match &wanted.statement {
        Some(path) => reconcile::read_statement(path)?,
        None => {
            let provider = Provider::new(&config, clock)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(provider.movements(wanted.since_s))?
        }
    };
    let connection = tomato_node::store::pool::connect(&config.store_path())?;
    let report = reconcile::compare(&connection, &movements, clock.now())?;
    for (name, sums) in [
        ("provider", report.provider),
        ("books", report.books),
        ("orders", report.rows),
    ] {
        say(&format!(
            "{name:9} charged {:>12}  refunded {:>12}",
            sums.charged, sums.refunded
        ));
    }
    say(&format!(
        "cash      orders  {:>12}  books    {:>12}",
        report.cash.0, report.cash.1
    ));
    for row in &report.mismatches {
        let age = row
            .age_h
            .map_or_else(|| "no order".to_owned(), |hours| format!("{hours} h old"));
        say(&format!("{}  {age}  {}", row.order, row.reason));
    }
    let (matched, quarantined) = (report.matched, report.quarantined);
    say(&format!(
        "{matched} orders agree, {} do not, {quarantined} messages in quarantine",
        report.mismatches.len()
    ));
    if report.is_even() {
        Ok(())
    } else {
        Err("something is left over".into())
    }
}

fn mint(token: Token) -> Result<(), Failure> {
    let now_s = Clock::start(UnixMs(0), 1.0, UnixMs(0)).wall_seconds();
    let claims = Claims {
        iss: token.issuer,
        aud: token.audience,
        sub: token.subject,
        role: match token.role {
            RoleArg::Customer => Role::Customer,
            RoleArg::Restaurant => Role::Restaurant,
            RoleArg::Driver => Role::Driver,
            RoleArg::Operator => Role::Operator,
            RoleArg::Service => Role::Service,
        },
        restaurant: token.restaurant,
        regions: (!token.region.is_empty()).then_some(token.region),
        iat: now_s,
        nbf: now_s,
        exp: now_s.saturating_add(token.ttl_s),
        jti: String::new(),
    };
    say(&SigningKey::load_or_create(&token.key)?.mint(&claims)?);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is what the command was called for")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "a failed start has no log yet")]
fn complain(error: &dyn std::error::Error) {
    eprintln!("tomato-node: {error}");
}
