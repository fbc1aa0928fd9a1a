//! A shop that sells the last items of its stock over TCP: one line `BUY` for each item, answered `SOLD` or `OUT`.
//!
//! [`Shop::sell_racing`] reads the stock, waits for the payment and writes the stock back: two customers can buy the same
//! item. [`Shop::sell`] reserves first. Nothing here knows of squall.

use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

/// How the shop takes an item out of its stock.
#[derive(Clone, Copy, Debug)]
pub enum Till {
    /// Looks, waits for the payment, then writes: the bug.
    Racing,
    /// Reserves, waits for the payment.
    Reserving,
}

/// The shop's state.
#[derive(Debug)]
pub struct Shop {
    stock: Mutex<i64>,
    sold: Mutex<i64>,
}

impl Shop {
    /// A shop with so many items.
    pub fn new(stock: i64) -> Arc<Shop> {
        Arc::new(Shop {
            stock: Mutex::new(stock),
            sold: Mutex::new(0),
        })
    }

    /// The bank takes its time.
    async fn payment(&self) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    /// Sells an item, if there is one: the racing version.
    pub async fn sell_racing(&self) -> bool {
        let left = *self.stock.lock().await;
        if left <= 0 {
            return false;
        }
        self.payment().await;
        *self.stock.lock().await = left - 1;
        *self.sold.lock().await += 1;
        true
    }

    /// Sells an item, if there is one.
    pub async fn sell(&self) -> bool {
        {
            let mut stock = self.stock.lock().await;
            if *stock <= 0 {
                return false;
            }
            *stock -= 1;
        }
        self.payment().await;
        *self.sold.lock().await += 1;
        true
    }
}

/// Serves customers at `address` for ever.
///
/// # Errors
/// If the address cannot be bound or no connection can be accepted.
pub async fn serve(address: &str, stock: i64, till: Till) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let shop = Shop::new(stock);
    loop {
        let (socket, _) = listener.accept().await?;
        let shop = shop.clone();
        tokio::spawn(async move { customer(socket, &shop, till).await });
    }
}

async fn customer(socket: TcpStream, shop: &Shop, till: Till) -> std::io::Result<()> {
    let mut lines = BufReader::new(socket);
    let mut line = String::new();
    while lines.read_line(&mut line).await? > 0 {
        let sold = match till {
            Till::Racing => shop.sell_racing().await,
            Till::Reserving => shop.sell().await,
        };
        let answer: &[u8] = if sold { b"SOLD\n" } else { b"OUT\n" };
        lines.get_mut().write_all(answer).await?;
        line.clear();
    }
    Ok(())
}

/// Tries to buy one item of the shop at `address`; true if it was sold.
///
/// # Errors
/// If the shop cannot be reached or hangs up.
pub async fn buy(address: &str) -> std::io::Result<bool> {
    let mut socket = BufReader::new(TcpStream::connect(address).await?);
    socket.get_mut().write_all(b"BUY\n").await?;
    let mut answer = String::new();
    socket.read_line(&mut answer).await?;
    Ok(answer == "SOLD\n")
}
