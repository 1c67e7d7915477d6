//! The fields that Stripe's published description of its API allows in the calls that a node makes. A call with any
//! other field is refused, as Stripe refuses it, and counts as a violation.
//!
//! Source: <https://github.com/stripe/openapi> at API version [`API_VERSION`], by way of the parameter types that Stripe generates
//! from it for its Python library, release 16.1.0.

/// The version that [`FIELDS`] was taken from; calls have to name it.
pub const API_VERSION: &str = "2026-10-28.endive";

/// Method, path and fields.
#[rustfmt::skip]
pub const FIELDS: [(bool, &str, &[&str]); 10] = [
    (true, "v1/payment_intents", &[
        "allowed_payment_method_types", "amount", "amount_details", "application_fee_amount", "automatic_payment_methods",
        "capture_method", "confirm", "confirmation_method", "confirmation_token", "currency", "customer",
        "customer_account", "description", "error_on_requires_action", "excluded_payment_method_types", "expand", "hooks",
        "mandate", "mandate_data", "metadata", "off_session", "on_behalf_of", "payment_details", "payment_method",
        "payment_method_configuration", "payment_method_data", "payment_method_options", "radar_options", "receipt_email",
        "return_url", "setup_future_usage", "shipping", "statement_descriptor", "statement_descriptor_suffix",
        "transfer_data", "transfer_group", "use_stripe_sdk",
    ]),
    (false, "v1/payment_intents", &[
        "created", "customer", "customer_account", "ending_before", "expand", "limit", "starting_after",
    ]),
    (false, "v1/payment_intents/*", &["client_secret", "expand"]),
    (true, "v1/payment_intents/*/capture", &[
        "amount_details", "amount_to_capture", "application_fee_amount", "expand", "final_capture", "hooks", "metadata",
        "payment_details", "statement_descriptor", "statement_descriptor_suffix", "transfer_data",
    ]),
    (true, "v1/payment_intents/*/cancel", &["cancellation_reason", "expand"]),
    (true, "v1/refunds", &[
        "amount", "charge", "currency", "customer", "expand", "instructions_email", "metadata", "origin", "payment_intent",
        "reason", "refund_application_fee", "reverse_transfer",
    ]),
    (false, "v1/refunds", &["charge", "created", "ending_before", "expand", "limit", "payment_intent", "starting_after"]),
    (false, "v1/disputes", &["charge", "created", "ending_before", "expand", "limit", "payment_intent", "starting_after"]),
    (false, "v1/disputes/*", &["expand"]),
    (false, "v1/balance", &["expand"]),
];

/// A call as in [`FIELDS`], with its method; `steps` is the path.
pub fn call(post: bool, steps: &[&str]) -> Option<(String, &'static [&'static str])> {
    let fits = |template: &str| {
        let template: Vec<&str> = template.split('/').collect();
        template.len() == steps.len()
            && template
                .iter()
                .zip(steps)
                .all(|(want, step)| *want == "*" || want == step)
    };
    let (_, path, known) = FIELDS
        .iter()
        .find(|(is_post, path, _)| *is_post == post && fits(path))?;
    let method = if post { "POST" } else { "GET" };
    Some((format!("{method} {path}"), known))
}

/// The first field of a call that Stripe does not know.
pub fn unknown(post: bool, steps: &[&str], fields: &[(String, String)]) -> Option<String> {
    let (_, known) = call(post, steps)?;
    let name = |field: &str| field.split('[').next().unwrap_or_default().to_owned();
    let names = fields.iter().map(|(field, _)| name(field));
    names.into_iter().find(|name| !known.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_stripe_does_not_know_is_found() {
        let field = |name: &str| vec![(name.to_owned(), String::new())];
        assert_eq!(unknown(true, &["v1", "refunds"], &field("metadata[refund]")), None);
        let wrong = unknown(true, &["v1", "payment_intents", "pi_1", "capture"], &field("amount[x]"));
        assert_eq!(wrong.as_deref(), Some("amount"));
    }
}
