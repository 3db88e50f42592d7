//! The shop: what happens when somebody buys.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use opentelemetry::logs::Severity;
use opentelemetry::trace::SpanKind;
use opentelemetry::{Array, KeyValue, StringValue, Value};
use tokio::time::sleep;

use super::exporter::Transport;
use super::legacy::LegacyAuth;
use super::service::{Headers, Service, Work};

/// Services that a request passes.
pub(super) const SERVICES: usize = 7;
/// A failed one is neither shipped nor confirmed by mail.
pub(super) const SERVICES_OF_A_FAILURE: usize = 5;
/// How far the clock of inventory is ahead.
const CLOCK_AHEAD: Duration = Duration::from_millis(80);
/// One request in so many is declined.
const FAILS_EVERY: u64 = 8;

/// The services.
pub(super) struct Shop {
    gateway: Service,
    orders: Service,
    inventory: Service,
    payments: Service,
    shipping: Service,
    mailer: Service,
    auth: LegacyAuth,
}

/// A request, and the ids by which it is found.
#[derive(Clone, Debug)]
pub(super) struct Checkout {
    /// Counted from 0.
    pub(super) number: u64,
    pub(super) request_id: String,
    pub(super) trace_id: String,
    pub(super) failed: bool,
}

/// Why a payment was not made.
struct Declined;

impl Shop {
    /// Starts all services. Called within a runtime.
    pub(super) fn open(otlp_grpc: SocketAddr, otlp_http: SocketAddr, http: SocketAddr) -> anyhow::Result<Shop> {
        let (grpc, plain) = (Transport::Grpc(otlp_grpc), Transport::Http(otlp_http));
        let on_time = Duration::ZERO;
        Ok(Shop {
            gateway: Service::new("gateway", "4.1.0", grpc, on_time)?,
            orders: Service::new("orders", "2.7.3", plain, on_time)?,
            inventory: Service::new("inventory", "1.12.0", grpc, CLOCK_AHEAD)?,
            payments: Service::new("payments", "3.0.1", plain, on_time)?,
            shipping: Service::new("shipping", "0.9.4", grpc, on_time)?,
            mailer: Service::new("mailer", "1.0.2", plain, on_time)?,
            auth: LegacyAuth::start(http),
        })
    }

    fn services(&self) -> [&Service; 6] {
        [&self.gateway, &self.orders, &self.inventory, &self.payments, &self.shipping, &self.mailer]
    }

    /// Somebody buys.
    pub(super) async fn checkout(self: Arc<Self>, number: u64) -> Checkout {
        let request_id = uuid::Uuid::new_v4().to_string();
        let failed = number % FAILS_EVERY == 2;
        let user = format!("user-{}", number % 40);
        let request_ids = Value::Array(Array::String(vec![StringValue::from(request_id.clone())]));
        let work = self.gateway.receive(
            &Headers::new(),
            SpanKind::Server,
            "POST /checkout",
            vec![
                KeyValue::new("http.request.method", "POST"),
                KeyValue::new("url.path", "/checkout"),
                KeyValue::new("http.request.header.x-request-id", request_ids),
                KeyValue::new("user.id", user.clone()),
            ],
        );
        let begun = Instant::now();
        work.log(Severity::Info, "POST /checkout".to_owned(), vec![("http.request.header.x-request-id", request_id.clone())]);
        let verify = work.begin(
            SpanKind::Client,
            "POST /verify",
            vec![KeyValue::new("http.request.method", "POST"), KeyValue::new("server.address", super::legacy::NAME)],
        );
        sleep(Duration::from_millis(2)).await;
        self.auth.verify(&request_id, &user).await;
        sleep(Duration::from_millis(2)).await;
        verify.end();

        let call = work.call("POST /orders", &self.orders);
        sleep(Duration::from_millis(1)).await;
        let bought = self.order(&call.headers(), number, &request_id, failed).await;
        let status = if bought.is_ok() { 200 } else { 502 };
        call.set(KeyValue::new("http.response.status_code", status));
        if bought.is_err() {
            call.fail("BadGateway", "orders answered 502");
        }
        call.end();
        work.set(KeyValue::new("http.response.status_code", status));
        let attributes = vec![("http.request.header.x-request-id", request_id.clone()), ("http.response.status_code", status.to_string())];
        let milliseconds = begun.elapsed().as_millis();
        if bought.is_err() {
            work.fail("BadGateway", "the order could not be placed");
            work.log(Severity::Error, format!("502 after {milliseconds} ms"), attributes);
        } else {
            work.log(Severity::Info, format!("200 after {milliseconds} ms"), attributes);
        }
        let trace_id = work.trace_id();
        work.end();
        Checkout { number, request_id, trace_id, failed }
    }

    async fn order(self: &Arc<Self>, headers: &Headers, number: u64, request_id: &str, failed: bool) -> Result<(), Declined> {
        let work = self.orders.receive(headers, SpanKind::Server, "POST /orders", vec![KeyValue::new("http.request.method", "POST")]);
        work.log(
            Severity::Info,
            format!("order {number} received"),
            vec![("request_id", request_id.to_owned()), ("order.id", number.to_string())],
        );
        let reserve = work.call("POST /reserve", &self.inventory);
        self.reserve(&reserve.headers(), number).await;
        reserve.end();

        let charge = work.call("POST /charge", &self.payments);
        let paid = self.charge(&charge.headers(), number, request_id, failed).await;
        if paid.is_err() {
            charge.fail("CardDeclined", "payments answered 402");
            charge.end();
            work.fail("CardDeclined", "the card was declined");
            work.log(
                Severity::Error,
                format!("order {number}: payment failed, stock released"),
                vec![("request_id", request_id.to_owned())],
            );
            work.end();
            return paid;
        }
        charge.end();

        let ship = work.call("POST /label", &self.shipping);
        self.label(&ship.headers(), number).await;
        ship.end();
        self.confirm(&work, number, request_id);
        sleep(Duration::from_millis(2)).await;
        work.end();
        Ok(())
    }

    async fn reserve(&self, headers: &Headers, number: u64) {
        let work = self.inventory.receive(headers, SpanKind::Server, "POST /reserve", vec![KeyValue::new("http.request.method", "POST")]);
        sleep(Duration::from_millis(3)).await;
        let query = vec![
            KeyValue::new("db.system.name", "postgresql"),
            KeyValue::new("db.query.text", "UPDATE stock SET held = held + 1 WHERE sku = $1"),
        ];
        let update = work.begin(SpanKind::Client, "UPDATE stock", query);
        sleep(Duration::from_millis(8 + number % 5)).await;
        update.end();
        work.log(Severity::Debug, format!("1 unit held for order {number}"), vec![("order.id", number.to_string())]);
        work.end();
    }

    async fn charge(&self, headers: &Headers, number: u64, request_id: &str, failed: bool) -> Result<(), Declined> {
        let work = self.payments.receive(headers, SpanKind::Server, "POST /charge", vec![KeyValue::new("http.request.method", "POST")]);
        sleep(Duration::from_millis(4)).await;
        let bank = work.begin(SpanKind::Client, "POST /v2/charges", vec![KeyValue::new("server.address", "bank.example")]);
        sleep(Duration::from_millis(25 + 10 * (number % 4))).await;
        if !failed {
            bank.end();
            work.log(Severity::Info, "card charged".to_owned(), vec![("request_id", request_id.to_owned())]);
            work.end();
            return Ok(());
        }
        work.log(Severity::Warn, "the bank is slow, trying again".to_owned(), vec![("attempt", "2".to_owned())]);
        sleep(Duration::from_millis(60)).await;
        bank.fail("CardDeclined", "card declined (code 51)");
        bank.end();
        work.fail("CardDeclined", "card declined (code 51)");
        work.log(Severity::Error, "card declined".to_owned(), vec![("request_id", request_id.to_owned()), ("code", "51".to_owned())]);
        work.end();
        Err(Declined)
    }

    async fn label(&self, headers: &Headers, number: u64) {
        let work = self.shipping.receive(headers, SpanKind::Server, "POST /label", vec![KeyValue::new("http.request.method", "POST")]);
        sleep(Duration::from_millis(7)).await;
        work.log(Severity::Info, format!("label printed for order {number}"), vec![("carrier", "snail".to_owned())]);
        work.end();
    }

    /// Leaves a message for mailer, which takes it when it likes.
    fn confirm(self: &Arc<Self>, work: &Work<'_>, number: u64, request_id: &str) {
        let destination = || KeyValue::new("messaging.destination.name", "order.confirmed");
        let publish = work.begin(SpanKind::Producer, "send order.confirmed", vec![destination()]);
        let (headers, shop, request_id) = (publish.headers(), self.clone(), request_id.to_owned());
        publish.end();
        tokio::spawn(async move {
            sleep(Duration::from_millis(15)).await;
            let work = shop.mailer.receive(&headers, SpanKind::Consumer, "process order.confirmed", vec![destination()]);
            sleep(Duration::from_millis(12)).await;
            work.log(Severity::Info, format!("mail sent for order {number}"), vec![("request_id", request_id)]);
            work.end();
        });
    }

    /// Sends all that the services hold.
    pub(super) async fn flush(self: &Arc<Self>) -> anyhow::Result<()> {
        self.auth.flush().await?;
        let shop = self.clone();
        tokio::task::spawn_blocking(move || shop.services().into_iter().try_for_each(|service| service.flush().context(service.name())))
            .await?
    }

    /// Sends all that the services hold, and stops them.
    pub(super) async fn close(self: Arc<Self>) -> anyhow::Result<()> {
        self.auth.flush().await?;
        tokio::task::spawn_blocking(move || {
            for service in self.services() {
                if let Err(error) = service.close() {
                    tracing::warn!("{}: not all was sent: {error:#}", service.name());
                }
            }
        })
        .await
        .context("the services did not close")
    }
}
