//! What every store does the same.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, path::Path};

use proptest::prelude::*;

use super::*;

/// Runs `check` on an empty store of each kind.
fn each(check: impl Fn(Box<dyn Store>)) {
    check(Box::new(MemoryStore::new()));
    let dir = tempfile::tempdir().unwrap();
    check(Box::new(open(dir.path())));
    let dir = tempfile::tempdir().unwrap();
    check(Box::new(LogStore::open(dir.path()).unwrap()));
}

fn open(path: &Path) -> SledStore {
    SledStore::open(path, 1 << 20).unwrap()
}

fn keys(store: &dyn Store, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Vec<Vec<u8>> {
    store.scan((from, to)).map(|row| row.unwrap().0.to_vec()).collect()
}

fn written(rows: &[(&[u8], Option<&[u8]>)], position: i64) -> Writes {
    let mut writes = Writes::new();
    for (key, value) in rows {
        match value {
            Some(value) => writes.put(key, value),
            None => writes.delete(key),
        }
    }
    writes.set_position(position);
    writes
}

#[test]
fn rows_are_set_replaced_and_deleted() {
    each(|mut store| {
        assert_eq!(store.get(b"a").unwrap(), None);
        store
            .write(&written(&[(b"a", Some(b"1")), (b"b", Some(b"")), (b"", Some(b"empty"))], 3))
            .unwrap();
        assert_eq!(store.get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(store.get(b"b").unwrap().as_deref(), Some(&b""[..]), "empty is a value");
        assert_eq!(
            store.get(b"").unwrap().as_deref(),
            Some(&b"empty"[..]),
            "the empty key is a key"
        );
        // The last write of a key within one batch counts.
        store.write(&written(&[(b"a", Some(b"2")), (b"a", None), (b"b", Some(b"3"))], 4)).unwrap();
        assert_eq!(store.get(b"a").unwrap(), None);
        assert_eq!(store.get(b"b").unwrap().as_deref(), Some(&b"3"[..]));
    });
}

#[test]
fn the_position_is_kept_until_it_is_written_again() {
    each(|mut store| {
        assert_eq!(store.position(), None);
        store.write(&written(&[], 0)).unwrap();
        assert_eq!(store.position(), Some(0));
        let mut writes = Writes::new();
        writes.put(b"a", b"1");
        store.write(&writes).unwrap();
        assert_eq!(store.position(), Some(0));
        store.write(&written(&[], 7)).unwrap();
        assert_eq!(store.position(), Some(7));
    });
}

#[test]
fn metadata_and_rows_do_not_meet() {
    each(|mut store| {
        let mut writes = Writes::new();
        for name in ["position", "format", "user:x", "__offset"] {
            writes.put(name.as_bytes(), b"a row");
            writes.set_meta(name, b"private");
        }
        store.write(&writes).unwrap();
        assert_eq!(store.position(), None);
        for name in ["position", "format", "user:x", "__offset"] {
            assert_eq!(store.get(name.as_bytes()).unwrap().as_deref(), Some(&b"a row"[..]));
            assert_eq!(store.meta(name).unwrap().as_deref(), Some(&b"private"[..]));
        }
        assert_eq!(store.meta("other").unwrap(), None);
        assert_eq!(keys(&*store, Bound::Unbounded, Bound::Unbounded).len(), 4);
    });
}

#[test]
fn ranges_are_in_key_order_and_end_where_they_say() {
    use Bound::{Excluded, Included, Unbounded};
    each(|mut store| {
        let rows: Vec<(&[u8], Option<&[u8]>)> =
            [&b"b"[..], b"a", b"bb", b"c", b"\xff", b"\xff\xff", b"b\0"]
                .map(|k| (k, Some(k)))
                .into();
        store.write(&written(&rows, 1)).unwrap();
        let all = keys(&*store, Unbounded, Unbounded);
        assert!(all.is_sorted() && all.len() == 7);
        assert_eq!(keys(&*store, Included(b"b"), Excluded(b"c")), [&b"b"[..], b"b\0", b"bb"]);
        assert_eq!(keys(&*store, Excluded(b"b"), Included(b"c")), [&b"b\0"[..], b"bb", b"c"]);
        assert_eq!(
            keys(&*store, Included(b"c"), Included(b"a")),
            [b""; 0],
            "ends before it starts"
        );
        assert_eq!(keys(&*store, Excluded(b"a"), Excluded(b"a")), [b""; 0]);
        let prefix = |prefix: &[u8]| {
            let (from, to) = prefix_bounds(prefix);
            keys(&*store, from.as_ref().map(|b| &**b), to.as_ref().map(|b| &**b))
        };
        assert_eq!(prefix(b"b"), [&b"b"[..], b"b\0", b"bb"]);
        assert_eq!(prefix(b"\xff"), [&b"\xff"[..], b"\xff\xff"]);
        assert_eq!(prefix(b"").len(), 7);
    });
}

#[test]
fn clear_forgets_everything() {
    each(|mut store| {
        let mut writes = written(&[(b"a", Some(b"1"))], 9);
        writes.set_meta("m", b"1");
        store.write(&writes).unwrap();
        store.clear().unwrap();
        assert_eq!((store.get(b"a").unwrap(), store.position()), (None, None));
        assert_eq!(store.meta("m").unwrap(), None);
        store.write(&written(&[(b"b", Some(b"1"))], 1)).unwrap();
        assert_eq!(keys(&*store, Bound::Unbounded, Bound::Unbounded), [b"b"]);
    });
}

/// Runs `check` on how each kind of store on disk is opened.
fn each_on_disk(check: impl Fn(&Path, &dyn Fn(&Path) -> Result<Box<dyn Store>, StoreError>)) {
    let dir = tempfile::tempdir().unwrap();
    check(dir.path(), &|path| Ok(Box::new(SledStore::open(path, 1 << 20)?)));
    let dir = tempfile::tempdir().unwrap();
    check(dir.path(), &|path| Ok(Box::new(LogStore::open(path)?)));
}

#[test]
fn a_closed_store_opens_with_all_it_had() {
    each_on_disk(|path, open| {
        let mut store = open(path).unwrap();
        let rows: Vec<_> = (0..2_000_u32).map(u32::to_be_bytes).collect();
        let rows: Vec<(&[u8], Option<&[u8]>)> =
            rows.iter().map(|k| (&k[..], Some(&k[..]))).collect();
        store.write(&written(&rows, 2_000)).unwrap();
        store.flush().unwrap();
        store.close().unwrap();
        let store = open(path).unwrap();
        assert_eq!(store.position(), Some(2_000));
        assert_eq!(keys(&*store, Bound::Unbounded, Bound::Unbounded).len(), 2_000);
    });
}

#[test]
fn a_store_in_use_is_refused_with_its_path() {
    each_on_disk(|path, open| {
        let _store = open(path).unwrap();
        let error = open(path).err().unwrap();
        assert!(matches!(error, StoreError::Locked { .. }), "{error:?}");
        assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
    });
}

#[test]
fn a_sled_store_of_another_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    Box::new(open(dir.path())).close().unwrap();
    let db = ::sled::open(dir.path()).unwrap();
    db.open_tree("meta").unwrap().insert("format", &99_u32.to_be_bytes()).unwrap();
    db.flush().unwrap();
    drop(db);
    let error = SledStore::open(dir.path(), 1 << 20).unwrap_err();
    assert!(error.to_string().contains("has format 99, this version reads format 1"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    each_on_disk(|path, open| {
        let file = path.join("file");
        std::fs::write(&file, "").unwrap();
        let error = open(&file.join("below-a-file")).err().unwrap();
        assert!(matches!(error, StoreError::Io { action: "opening", .. }), "{error:?}");
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Any order of puts and deletes, in any batches, leaves what a map would hold.
    #[test]
    fn agrees_with_a_map(
        batches in proptest::collection::vec(
            proptest::collection::vec((proptest::collection::vec(0_u8..3, 0..4), any::<Option<u8>>()), 0..20),
            0..10,
        ),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let log = LogStore::open(&dir.path().join("log")).unwrap();
        let mut stores: [Box<dyn Store>; 3] =
            [Box::new(MemoryStore::new()), Box::new(open(dir.path())), Box::new(log)];
        let mut model = BTreeMap::new();
        for batch in &batches {
            let mut writes = Writes::new();
            for (key, value) in batch {
                #[expect(clippy::single_match_else, reason = "two outcomes of equal weight")]
                match value {
                    Some(value) => {
                        model.insert(key.clone(), vec![*value]);
                        writes.put(key, &[*value]);
                    }
                    None => {
                        model.remove(key);
                        writes.delete(key);
                    }
                }
            }
            for store in &mut stores {
                store.write(&writes).unwrap();
            }
        }
        for store in &stores {
            let rows: Vec<_> = store.scan((Bound::Unbounded, Bound::Unbounded))
                .map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec())).unwrap())
                .collect();
            prop_assert_eq!(rows, model.clone().into_iter().collect::<Vec<_>>());
        }
    }
}
