//! The segments of a listing: which page to request next, and where to split a segment.

use std::collections::VecDeque;

use s3ferry_core::key_space::KeyRange;
use s3ferry_core::listing::ListedObject;

use super::{ListingPage, PrefetchLimits};

/// The maximum number of waiting pages of a segment other than the first.
const PAGES_WAITING: usize = 4;

/// The initial distance between boundaries, in pages.
const FIRST_SPREAD: u32 = 2;

/// The maximum distance between boundaries, in pages.
const WIDEST_SPREAD: u32 = 1 << 16;

/// A request for a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PageRequest {
    segment: u64,
    /// The key after which the page starts.
    pub(super) after: Option<String>,
}

/// All segments with pages that were not returned yet, in key order.
#[derive(Debug)]
pub(super) struct Segments {
    limits: PrefetchLimits,
    queue: VecDeque<Segment>,
    next_id: u64,
    under_way: usize,
    spread: u32,
}

/// The keys after `after`, up to and including `end`.
#[derive(Debug)]
struct Segment {
    id: u64,
    after: Option<String>,
    end: Option<String>,
    pages: VecDeque<Vec<ListedObject>>,
    pages_read: u32,
    under_way: bool,
    done: bool,
    /// The key range of the last page; `None` once the segment was split at it.
    sample: Option<KeyRange>,
    /// A key of the segment that this one was split from. It shows how far apart folders are.
    anchor: Option<String>,
}

impl Segments {
    pub(super) fn new(limits: PrefetchLimits) -> Self {
        Self {
            limits,
            queue: VecDeque::from([Segment::new(0, None, None)]),
            next_id: 1,
            under_way: 0,
            spread: FIRST_SPREAD,
        }
    }

    /// Returns whether every page was read and returned.
    pub(super) fn is_done(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns the next page in key order, if it was read.
    pub(super) fn pop(&mut self) -> Option<Vec<ListedObject>> {
        while let Some(head) = self.queue.front_mut() {
            if let Some(page) = head.pages.pop_front() {
                return Some(page);
            }
            if !head.done {
                return None;
            }
            self.queue.pop_front();
        }
        None
    }

    /// Returns the pages to request now, earlier keys first. Splits segments if no other page can be requested.
    pub(super) fn requests(&mut self) -> Vec<PageRequest> {
        let mut requests = Vec::new();
        while self.under_way < self.limits.concurrency.max(1) {
            match self.next_request() {
                Some(request) => requests.push(request),
                None if self.has_room() && self.cut() => {}
                None => break,
            }
        }
        requests
    }

    fn next_request(&mut self) -> Option<PageRequest> {
        let has_room = self.has_room();
        let may_read = |index: usize, segment: &Segment| {
            let has_room = if index == 0 {
                // The caller waits for the first segment.
                has_room || segment.pages.is_empty()
            } else {
                has_room && segment.pages.len() < PAGES_WAITING
            };
            has_room && !segment.done && !segment.under_way
        };
        let mut indexes = self.queue.iter().enumerate();
        let first = indexes
            .find(|(index, segment)| may_read(*index, segment))
            .map(|(index, _)| index);
        // The last segment is split next, which requires a page of it.
        let last = self.queue.len().saturating_sub(1);
        let scouts = first != Some(0)
            && self.unfinished() <= self.limits.concurrency
            && self
                .queue
                .get(last)
                .is_some_and(|segment| segment.pages_read == 0 && may_read(last, segment));
        let segment = self.queue.get_mut(if scouts { last } else { first? })?;
        segment.under_way = true;
        self.under_way += 1;
        Some(PageRequest {
            segment: segment.id,
            after: segment.after.clone(),
        })
    }

    fn unfinished(&self) -> usize {
        self.queue.iter().filter(|segment| !segment.done).count()
    }

    fn has_room(&self) -> bool {
        let waiting: usize = self.queue.iter().map(|segment| segment.pages.len()).sum();
        waiting + self.under_way < self.limits.pages
    }

    /// Splits the first segment that can be split; returns `false` if there is none.
    fn cut(&mut self) -> bool {
        let Some(index) = self
            .queue
            .iter()
            .position(|segment| !segment.done && segment.sample.is_some())
        else {
            return false;
        };
        let count = self.limits.pages.div_ceil(2).max(self.limits.concurrency);
        let spread = self.spread;
        let Some(segment) = self.queue.get_mut(index) else {
            return false;
        };
        let Some(sample) = segment.sample.take() else {
            return false;
        };
        let cuts = cuts_of(segment, &sample, spread, count);
        let Some(first) = cuts.first() else {
            // There is no boundary within this segment; another segment may have one.
            return true;
        };
        let end = segment.end.replace(first.clone());
        let ends = cuts.iter().skip(1).cloned().map(Some).chain([end]);
        let mut new_segments: Vec<Segment> = Vec::with_capacity(cuts.len());
        for (after, end) in cuts.iter().cloned().zip(ends) {
            let mut new_segment = Segment::new(self.next_id, Some(after), end);
            new_segment.anchor = Some(sample.first.clone());
            self.next_id += 1;
            new_segments.push(new_segment);
        }
        for (offset, new_segment) in new_segments.into_iter().enumerate() {
            self.queue.insert(index + 1 + offset, new_segment);
        }
        true
    }

    /// Adds the page that a request returned.
    pub(super) fn take(&mut self, request: &PageRequest, page: ListingPage) {
        self.under_way = self.under_way.saturating_sub(1);
        let Some(mut index) = self.queue.iter().position(|segment| segment.id == request.segment) else {
            return;
        };
        let asked = page.objects.len();
        let (mut rows, more) = (page.objects, page.more);
        let Some(segment) = self.queue.get_mut(index) else {
            return;
        };
        segment.under_way = false;
        let mut beyond = segment.keep(&mut rows, more);
        self.learn(index, asked, beyond.len());
        // The page may extend into later segments. If they were not requested yet, they take their rows from it.
        while !beyond.is_empty() || !more {
            index += 1;
            let Some(next) = self.queue.get_mut(index) else { break };
            if next.under_way || next.pages_read > 0 {
                // This segment is read by its own requests.
                beyond.drain(..next.own(&beyond));
            } else {
                beyond = next.keep(&mut beyond, more);
            }
        }
    }

    /// Adapts the distance between boundaries.
    ///
    /// It grows if pages extend far beyond their segments, and shrinks if segments are long.
    fn learn(&mut self, index: usize, asked: usize, beyond: usize) {
        let Some(segment) = self.queue.get(index) else { return };
        // A page with no row of its segment starts after a folder, which does not show how far apart keys are.
        if segment.pages_read == 1 && beyond < asked && beyond * 2 > asked {
            self.spread = self.spread.saturating_mul(2).min(WIDEST_SPREAD);
        } else if segment.pages_read > 2 * FIRST_SPREAD && !segment.done {
            self.spread = (self.spread / 2).max(1);
        }
    }
}

impl Segment {
    fn new(id: u64, after: Option<String>, end: Option<String>) -> Self {
        Self {
            id,
            after,
            end,
            pages: VecDeque::new(),
            pages_read: 0,
            under_way: false,
            done: false,
            sample: None,
            anchor: None,
        }
    }

    /// Returns how many rows, of a page that starts in the segment, belong to it.
    fn own(&self, rows: &[ListedObject]) -> usize {
        match &self.end {
            Some(end) => rows.partition_point(|row| row.key.as_str() <= end.as_str()),
            None => rows.len(),
        }
    }

    /// Adds the rows that belong to the segment, and returns those after its end.
    fn keep(&mut self, rows: &mut Vec<ListedObject>, more: bool) -> Vec<ListedObject> {
        let beyond = rows.split_off(self.own(rows));
        let rows = std::mem::take(rows);
        self.pages_read += 1;
        self.done = !more || !beyond.is_empty();
        if let Some(last) = rows.last() {
            let last = last.key.as_str().to_owned();
            self.done = self.done || self.end.as_ref() == Some(&last);
            self.sample = (!self.done).then(|| key_range(&rows)).flatten();
            self.after = Some(last);
            self.pages.push_back(rows);
        }
        beyond
    }
}

fn key_range(rows: &[ListedObject]) -> Option<KeyRange> {
    KeyRange::of(rows.iter().map(|row| row.key.as_str()))
}

/// Estimates boundaries from the last page and, beyond its folder, from how far apart folders are.
fn cuts_of(segment: &Segment, sample: &KeyRange, spread: u32, count: usize) -> Vec<String> {
    let end = segment.end.as_deref();
    let mut cuts = sample.cuts_ahead(end, spread, count);
    if cuts.len() < count
        && let Some(anchor) = &segment.anchor
        && let Some(folders) = KeyRange::of([anchor.as_str(), sample.first.as_str()].into_iter())
    {
        let behind = cuts.last().unwrap_or(&sample.last).clone();
        let wide = folders.cuts_ahead(end, 1, count - cuts.len());
        cuts.extend(wide.into_iter().filter(|cut| *cut > behind));
    }
    cuts
}
