//! A running hub or node with its managed nats-server: started and awaited, killed in every way, its logs shown.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Method;
use rustix::process::Signal;

use crate::client::{Api, Request};
use crate::process::{Program, exists, read_pid, signal, workspace_program};
use crate::wait::poll_until;

/// How long a program may take to answer after its start.
const START_LIMIT: Duration = Duration::from_secs(90);

/// Hub or node. Everything that it started ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    program: Program,
    config: PathBuf,
    data: PathBuf,
    public: Api,
}

impl Server {
    /// `program`: `tomato-hub` or `tomato-node`; `config`: its file, beside which the log comes to lie; `data`: the
    /// directory that the file names; `public`: its HTTP address without a token.
    pub fn new(program: &str, config: &Path, data: PathBuf, public: Api) -> Result<Self, String> {
        let executable = workspace_program(program)?;
        let name = config
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        let args = vec!["run".to_owned(), "--config".to_owned(), config.display().to_string()];
        let program = Program::new(name, executable, args, config.with_extension("log"));
        let config = config.to_owned();
        Ok(Self {
            program,
            config,
            data,
            public,
        })
    }

    /// Scheme, host and port of its HTTP.
    pub fn base(&self) -> &str {
        self.public.base()
    }

    /// Its HTTP without a token.
    pub fn public(&self) -> &Api {
        &self.public
    }

    /// Has the runs to come, and those of its nats-server, in a network namespace.
    pub(crate) fn within(&mut self, namespace: &str) {
        self.program.within(namespace);
    }

    /// Sets an environment variable for the runs to come; its nats-server inherits it.
    pub fn env(&mut self, key: &str, value: &str) {
        self.program.env(key, value);
    }

    /// Directory of its database and its broker's files.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.program.pid()
    }

    /// Starts it and waits until `/livez` answers.
    pub async fn start(&mut self) -> Result<(), String> {
        self.program.start()?;
        let (public, program) = (&self.public, &mut self.program);
        let livez = Request::new(Method::GET, "/livez");
        let alive = poll_until("/livez to answer", START_LIMIT, async || {
            if let Some(status) = program.ended() {
                return Some(Err(format!("ended at once with {status}")));
            }
            let answer = public.send(&livez).await.ok()?;
            answer.status.is_success().then_some(Ok(()))
        });
        let outcome = alive.await.and_then(|outcome| outcome);
        outcome.map_err(|problem| format!("{problem}\n{}", self.tails()))
    }

    /// How it ended, if it was started and runs no more.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.program.ended()
    }

    /// kill -9. Its nats-server gets SIGTERM from the kernel where `setpriv` exists; elsewhere it stays behind, as after
    /// a real crash, until the next start or until this is dropped.
    pub fn kill9(&mut self) {
        self.program.kill9();
    }

    /// SIGTERM and wait; an error unless it ends by itself with success.
    pub async fn stop(&mut self) -> Result<(), String> {
        match self.program.stop().await {
            None => Ok(()),
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(format!("{} ended with {status}\n{}", self.base(), self.tails())),
        }
    }

    /// Process id of its managed nats-server while that runs.
    pub fn nats_pid(&self) -> Option<u32> {
        let pid = read_pid(&self.data.join("nats/server.pid"))?;
        // Process ids are used again: it must really be ours.
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let ours = String::from_utf8_lossy(&command).contains(&*self.data.to_string_lossy());
        (ours && exists(pid)).then_some(pid)
    }

    /// kill -9 of its nats-server; the program has to start a new one.
    pub fn kill_nats(&self) -> Option<u32> {
        let pid = self.nats_pid()?;
        signal(pid, Signal::KILL);
        Some(pid)
    }

    /// The end of its log, and what its nats-server complained about.
    pub fn tails(&self) -> String {
        let nats = crate::process::tail_of("nats-server", &self.data.join("nats/server.log"));
        // What the server says in good health fills pages.
        let nats: Vec<_> = nats.lines().filter(|line| !line.contains("[INF]")).collect();
        format!("{}\n{}", self.program.tail(), nats.join("\n"))
    }
}

/// Who its program is at its broker.
#[derive(Debug, Clone)]
pub struct BrokerLogin {
    pub url: String,
    pub user: String,
    pub password: String,
}

impl BrokerLogin {
    /// Connects once it runs, with replies under this inbox.
    pub async fn connect(self, inbox: &str) -> Result<async_nats::Client, String> {
        let connected = poll_until(&self.url, START_LIMIT, async || {
            let login = self.clone();
            let options = async_nats::ConnectOptions::with_user_and_password(login.user, login.password);
            options.custom_inbox_prefix(inbox).connect(login.url).await.ok()
        });
        connected.await
    }
}

impl Server {
    /// How its program reaches its managed nats-server, which must have been started once.
    pub fn broker(&self) -> Result<BrokerLogin, String> {
        let explain = |error: &dyn std::fmt::Display| format!("{}: {error}", self.config.display());
        let config = std::fs::read_to_string(&self.config).map_err(|error| explain(&error))?;
        let config: toml::Table = config.parse().map_err(|error| explain(&error))?;
        let server = config.get("broker").and_then(|broker| broker.get("server"));
        let setting = |name: &str| server.and_then(|server| server.get(name));
        let host = setting("host").and_then(toml::Value::as_str);
        let port = setting("port").and_then(toml::Value::as_integer);
        let (host, port) = host.zip(port).ok_or_else(|| explain(&"has no [broker.server]"))?;
        let file = self.data.join("nats/passwords.json");
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let passwords: serde_json::Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        Ok(BrokerLogin {
            url: format!("nats://{host}:{port}"),
            user: "tomato".into(),
            password: passwords["app"].as_str().unwrap_or_default().to_owned(),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.tails());
        }
        self.program.kill9();
        self.kill_nats();
    }
}
