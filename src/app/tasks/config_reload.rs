//! SIGHUP: what can be replaced of `lacuna.toml` is read anew, and what cannot is named.

use std::{path::Path, sync::Arc};

use crate::{
    app::settings_of,
    config::{AuthChange, Config},
    engine::Engine,
    http::Admission,
    telemetry::metrics::Metrics,
};

/// Reads the file again. One that is not valid changes nothing, loudly.
pub(super) fn reload(engine: &Engine, admission: &Admission, running: &mut Config) {
    let Some(file) = running.file.clone() else {
        // Whoever runs it in a process of its own has no file.
        return;
    };
    let done = take_over(engine, admission, running, &file);
    engine.metrics.config_reload_successful.set(i64::from(done));
}

fn take_over(engine: &Engine, admission: &Admission, running: &mut Config, file: &Path) -> bool {
    let shown = file.display();
    let new = match Config::load(file) {
        Ok(new) => new,
        Err(problems) => {
            tracing::error!(file = %shown, %problems, "the configuration is not valid: what ran before goes on, and nothing was changed");
            return false;
        }
    };
    let restart = running.needing_restart(&new);
    if !restart.is_empty() {
        tracing::warn!(
            file = %shown,
            keys = restart.join(", "),
            "these keys differ from what runs, and need a restart: they go on as they were"
        );
    }
    if !take_over_auth(admission, running, &new) {
        return false;
    }
    if let Some(auth) = &running.auth {
        tell_ends(&engine.metrics, auth);
    }
    take_over_policy(engine, running, new);
    true
}

fn take_over_policy(engine: &Engine, running: &mut Config, new: Config) {
    if new.policy == running.policy {
        tracing::info!("[policy] is as it was");
        return;
    }
    running.policy = new.policy;
    let now = engine.clock.now();
    engine.set_policy(settings_of(running, now, Arc::clone(engine.cluster())));
    tracing::info!(
        "[policy] is replaced: it decides what comes from now on; requests keep the deadlines and gates that they were opened with"
    );
}

fn take_over_auth(admission: &Admission, running: &mut Config, new: &Config) -> bool {
    let (Some(old), Some(auth)) = (&running.auth, &new.auth) else {
        // Its presence is among what needs a restart.
        return true;
    };
    let change = AuthChange::between(old, auth);
    if change.is_none() {
        tracing::info!("[auth] is as it was");
        return true;
    }
    if let Err(error) = admission.replace(Some(auth.clone())) {
        tracing::error!(%error, "[auth] could not be replaced: what ran before goes on, and nothing was changed");
        return false;
    }
    tracing::info!(
        added = change.added.join(", "),
        removed = change.removed.join(", "),
        changed = change.changed.join(", "),
        oidc = change.oidc,
        session = change.session,
        "[auth] is replaced"
    );
    running.auth = Some(auth.clone());
    true
}

/// Says when each bearer's last token ends, where one does.
pub(in crate::app) fn tell_ends(metrics: &Metrics, auth: &crate::config::Auth) {
    metrics.token_expiry.reset();
    for token in &auth.tokens {
        let others = auth.tokens.iter().filter(|other| other.name == token.name);
        // A token without an end outlives every other.
        let ends: Option<Vec<_>> = others.map(|other| other.not_after).collect();
        if let Some(last) = ends.and_then(|ends| ends.into_iter().max()) {
            metrics
                .token_expiry
                .with_label_values(&[token.name.as_str()])
                .set(last.millis() / 1000);
        }
    }
}
