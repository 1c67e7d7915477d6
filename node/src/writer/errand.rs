//! What is written beside the engine's decisions: in the same transactions, under the same keys, with the same care.

use axum::body::Bytes;

use super::batch::{Batch, Fault, stopped};
use super::{Chore, Context, Failure, Held, Response, WriterStopped};
use crate::engine::model::By;
use crate::store::extras;
use crate::store::push::{Errand, ErrandError};

impl Batch<'_> {
    /// Runs one errand under a savepoint.
    pub(super) fn errand(&mut self, chore: Chore) -> Result<(), WriterStopped> {
        let Chore {
            by,
            errand,
            context,
            reply,
        } = chore;
        self.news.spans.extend(self.tracer.child(context.trace.as_deref()));
        let result = match self.stored_answer(context.key) {
            Ok(Some(result)) => result,
            Ok(None) => self.run_errand(by, &errand, &context)?,
            Err(error) => return Err(stopped("reading an answer", &error)),
        };
        self.news.held.push(Held { reply, result });
        Ok(())
    }

    fn run_errand(
        &self,
        by: By,
        errand: &Errand,
        context: &Context,
    ) -> Result<Result<Response, Failure>, WriterStopped> {
        self.point("SAVEPOINT errand")?;
        let run = errand.run(self.connection, self.tick.now);
        let done = match run {
            Ok((status, body)) => {
                let response = Response {
                    status,
                    body: Bytes::from(body),
                };
                self.note_errand(by, errand, context, &response).map(|()| response)
            }
            Err(ErrandError::Refused(refusal)) => {
                self.point("ROLLBACK TO errand")?;
                self.point("RELEASE errand")?;
                return Ok(Err(Failure::Refused(refusal)));
            }
            Err(ErrandError::Write(error)) => Err(Fault::from(error)),
        };
        match done {
            Ok(response) => {
                self.point("RELEASE errand")?;
                Ok(Ok(response))
            }
            Err(Fault::Disk(stop)) => Err(stop),
            Err(Fault::Command(reason)) => {
                tracing::error!(reason, "an errand could not be written and was undone");
                self.point("ROLLBACK TO errand")?;
                self.point("RELEASE errand")?;
                Ok(Err(Failure::Broken))
            }
        }
    }

    fn note_errand(&self, by: By, errand: &Errand, context: &Context, response: &Response) -> Result<(), Fault> {
        if let Some(key) = context.key {
            self.remember(key, response)?;
        }
        if let (By::Operator(operator), Some(deed)) = (by, errand.deed()) {
            extras::put_deed(self.connection, operator, self.tick.now, &deed)?;
        }
        Ok(())
    }

    fn point(&self, sql: &'static str) -> Result<(), WriterStopped> {
        let run = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]));
        run.map(|_| ()).map_err(|error| stopped("setting a savepoint", &error))
    }
}
