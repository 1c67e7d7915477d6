//! Tokens in files, to try the API by hand: `curl -H "Authorization: Bearer $(cat FILE)" ...`

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use tomato_tests::city::City;
use tomato_tests::stack::Stack;

/// Writes `<folder>/tokens/operator` and for each region `<region>.customer`, `.restaurant` and `.driver`.
pub(crate) fn write(stack: &Stack, cities: &[Arc<City>]) -> Result<(), String> {
    let folder = stack.folder().join("tokens");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    put(&folder.join("operator"), &stack.issuer.operator())?;
    for city in cities {
        let (region, issuer) = (&city.world.ground.region, &stack.issuer);
        if let Some(customer) = city.world.customers.first() {
            put(&folder.join(format!("{region}.customer")), &issuer.customer(*customer))?;
        }
        if let Some(restaurant) = city.world.restaurants.first() {
            let token = issuer.restaurant(restaurant.staff, restaurant.id);
            put(&folder.join(format!("{region}.restaurant")), &token)?;
        }
        if let Some(driver) = city.world.drivers.first() {
            put(&folder.join(format!("{region}.driver")), &issuer.driver(driver.id))?;
        }
    }
    Ok(())
}

/// Readable by its owner only.
fn put(file: &Path, token: &str) -> Result<(), String> {
    let open = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file);
    open.and_then(|mut open| open.write_all(token.as_bytes()))
        .map_err(|error| format!("{}: {error}", file.display()))
}
