// Where a shard keeps what it knows: numbered slots in pages that never move, and an order by name. Four bytes name a
// slot, and no member has a heap node of its own.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <memory>
#include <vector>

namespace diastole::engine {

using Slot = std::uint32_t;
inline constexpr Slot kNoSlot = ~Slot{0};

template <typename T>
class Slots {
 public:
  // A slot with a fresh T in it.
  [[nodiscard]] Slot take() {
    if (free_.empty()) {
      if (used_ == pages_.size() * kPage) pages_.push_back(std::make_unique<std::array<T, kPage>>());
      return used_++;
    }
    const Slot slot = free_.back();
    free_.pop_back();
    return slot;
  }
  void give_back(Slot slot) {
    (*this)[slot] = T{};
    free_.push_back(slot);
  }
  [[nodiscard]] T& operator[](Slot slot) { return (*pages_[slot / kPage])[slot % kPage]; }
  [[nodiscard]] const T& operator[](Slot slot) const { return (*pages_[slot / kPage])[slot % kPage]; }

 private:
  static constexpr Slot kPage = 256;
  std::vector<std::unique_ptr<std::array<T, kPage>>> pages_;
  std::vector<Slot> free_;
  Slot used_ = 0;
};

// Slots in the order that `less(slot, slot)` gives, in pieces that are split before they grow long: an arrival moves at
// most one piece.
class SlotOrder {
 public:
  template <typename Less>
  void insert(Slot slot, const Less& less) {
    if (pieces_.empty()) pieces_.emplace_back();
    auto piece = piece_of(slot, less);
    piece->insert(std::ranges::lower_bound(*piece, slot, less), slot);
    if (piece->size() <= kPiece) return;
    const auto middle = piece->begin() + kPiece / 2;
    std::vector<Slot> upper(middle, piece->end());
    piece->erase(middle, piece->end());
    piece->shrink_to_fit();
    pieces_.insert(std::next(piece), std::move(upper));
  }
  template <typename Less>
  void erase(Slot slot, const Less& less) {
    auto piece = piece_of(slot, less);
    piece->erase(std::ranges::lower_bound(*piece, slot, less));
    if (piece->empty()) pieces_.erase(piece);
  }
  // Calls visit(slot) for each for which behind(slot) holds, which must be true for a tail of the order, until it
  // returns false.
  template <typename Behind, typename Visit>
  void each_behind(const Behind& behind, const Visit& visit) const {
    const auto before = [&](const std::vector<Slot>& piece) { return !behind(piece.back()); };
    for (auto piece = std::ranges::partition_point(pieces_, before); piece != pieces_.end(); ++piece) {
      for (auto at = std::ranges::partition_point(*piece, [&](Slot slot) { return !behind(slot); }); at != piece->end();
           ++at) {
        if (!visit(*at)) return;
      }
    }
  }

 private:
  static constexpr std::ptrdiff_t kPiece = 256;
  using Pieces = std::vector<std::vector<Slot>>;

  // The first whose last is not before the slot; the last piece, where there is none.
  template <typename Less>
  Pieces::iterator piece_of(Slot slot, const Less& less) {
    const auto found = std::ranges::partition_point(
        pieces_, [&](const std::vector<Slot>& piece) { return !piece.empty() && less(piece.back(), slot); });
    return found == pieces_.end() ? std::prev(found) : found;
  }

  Pieces pieces_;
};

}  // namespace diastole::engine
