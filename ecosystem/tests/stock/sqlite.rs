//! SQLite twice: rusqlite (bundled C library, blocking) on threads, and sqlx's pool of connection threads. Files are real.
use crate::support::{Stopwatch, ms};
use rusqlite::{Connection, TransactionBehavior, params};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use std::str::FromStr;
use std::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

#[squall::test]
async fn rusqlite_rolls_back_what_is_not_committed() {
    let total = tokio::task::spawn_blocking(|| {
        let mut db = Connection::open_in_memory().unwrap();
        db.execute_batch(
            "CREATE TABLE account (name TEXT PRIMARY KEY, cents INTEGER CHECK (cents >= 0))",
        )
        .unwrap();
        for (name, cents) in [("ann", 500), ("bob", 20)] {
            db.execute("INSERT INTO account VALUES (?1, ?2)", params![name, cents])
                .unwrap();
        }
        for (cents, holds) in [(100, true), (90_000, false), (400, true), (1, false)] {
            let transfer = db.transaction().unwrap();
            let moved = [("bob", cents), ("ann", -cents)]
                .iter()
                .try_for_each(|(name, cents)| {
                    let sql = "UPDATE account SET cents = cents + ?2 WHERE name = ?1";
                    transfer.execute(sql, params![name, cents]).map(drop)
                });
            assert_eq!(moved.is_ok(), holds);
            if holds {
                transfer.commit().unwrap();
            }
        }
        let random: i64 = db
            .query_row("SELECT random()", [], |row| row.get(0))
            .unwrap();
        let sums: (i64, i64) = db
            .query_row("SELECT sum(cents), max(cents) FROM account", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(sums, (520, 520));
        random
    });
    // SQLite's own generator is seeded from the system's entropy.
    assert_ne!(total.await.unwrap(), 0);
}

#[squall::test]
async fn rusqlite_waits_for_another_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shared.db");
    let first = Connection::open(&path).unwrap();
    first.pragma_update(None, "journal_mode", "wal").unwrap();
    first.execute_batch("CREATE TABLE log (who TEXT)").unwrap();

    let (locked, wait_until_locked) = mpsc::channel();
    let holder = std::thread::spawn(move || {
        let mut first = first;
        let writing = first
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .unwrap();
        writing
            .execute("INSERT INTO log VALUES ('first')", [])
            .unwrap();
        locked.send(()).unwrap();
        std::thread::sleep(ms(200));
        writing.commit().unwrap();
    });
    let waiter = std::thread::spawn(move || {
        wait_until_locked.recv().unwrap();
        let second = Connection::open(&path).unwrap();
        second.busy_timeout(ms(20)).unwrap();
        let watch = Stopwatch::start();
        let busy = second
            .execute("INSERT INTO log VALUES ('second')", [])
            .unwrap_err();
        assert_eq!(
            busy.sqlite_error_code(),
            Some(rusqlite::ErrorCode::DatabaseBusy)
        );
        watch.within(ms(10), ms(100));

        second.busy_timeout(ms(5_000)).unwrap();
        second
            .execute("INSERT INTO log VALUES ('second')", [])
            .unwrap();
        watch.within(ms(150), ms(600));
        second
            .query_row("SELECT group_concat(who) FROM log", [], |row| {
                row.get::<_, String>(0)
            })
            .unwrap()
    });
    let story = tokio::task::spawn_blocking(move || {
        holder.join().unwrap();
        waiter.join().unwrap()
    });
    assert_eq!(story.await.unwrap(), "first,second");
}

#[squall::test]
async fn sqlx_transfers_keep_the_sum() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::from_str(&format!(
        "sqlite://{}",
        folder.path().join("bank.db").display()
    ))
    .unwrap()
    .create_if_missing(true)
    .journal_mode(SqliteJournalMode::Wal)
    .busy_timeout(ms(5_000));
    let pool = SqlitePoolOptions::new()
        .max_connections(3)
        .connect_with(options)
        .await
        .unwrap();
    sqlx::query("CREATE TABLE account (id INTEGER PRIMARY KEY, cents INTEGER NOT NULL)")
        .execute(&pool)
        .await
        .unwrap();
    for id in 0..4 {
        sqlx::query("INSERT INTO account VALUES (?, 100)")
            .bind(id)
            .execute(&pool)
            .await
            .unwrap();
    }

    let mut transfers = JoinSet::new();
    for n in 0..8i64 {
        let pool = pool.clone();
        transfers.spawn(async move {
            let mut transfer = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
            for (id, cents) in [(n % 4, -10), ((n + 1) % 4, 10)] {
                sqlx::query("UPDATE account SET cents = cents + ? WHERE id = ?")
                    .bind(cents)
                    .bind(id)
                    .execute(&mut *transfer)
                    .await
                    .unwrap();
                sleep(ms(2)).await;
            }
            // Every third customer changes their mind.
            if n % 3 == 2 {
                transfer.rollback().await.unwrap()
            } else {
                transfer.commit().await.unwrap()
            }
        });
    }
    transfers.join_all().await;
    let rows = sqlx::query("SELECT cents FROM account ORDER BY id")
        .fetch_all(&pool)
        .await
        .unwrap();
    let cents: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(cents.iter().sum::<i64>(), 400);
    // Transfers 2 and 5 were rolled back: account 2 paid only once, 3 received only once, likewise 1 and 2.
    assert_eq!(cents, [100, 110, 100, 90]);
    pool.close().await;
}

#[squall::test]
async fn sqlx_pool_runs_out_and_recovers() {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ms(300))
        .connect("sqlite::memory:")
        .await
        .unwrap();
    let held = pool.acquire().await.unwrap();
    let watch = Stopwatch::start();
    let error = pool.acquire().await.unwrap_err();
    assert!(matches!(error, sqlx::Error::PoolTimedOut), "{error}");
    watch.within(ms(300), ms(350));

    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move {
            sqlx::query_scalar::<_, i64>("SELECT 6 * 7")
                .fetch_one(&pool)
                .await
                .unwrap()
        }
    });
    sleep(ms(100)).await;
    drop(held);
    assert_eq!(waiting.await.unwrap(), 42);
    watch.within(ms(400), ms(480));
}
