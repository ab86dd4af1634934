// Types that contain themselves.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "round_trip.hpp"

namespace brood::wire {
namespace {

struct Tree {
  int value = 0;
  std::vector<Tree> children;
  bool operator==(const Tree&) const = default;
};
struct List {
  int value = 0;
  std::unique_ptr<List> next;
};
struct Json : std::variant<std::nullptr_t, double, std::string, std::vector<Json>, std::map<std::string, Json>> {
  using variant::variant;
};
class Custom {
 public:
  std::vector<Custom> children;
  template <class A>
  void serialize(A& archive) {
    archive(children);
  }
};

static_assert(detail::kCountsLevel<Tree> && detail::kCountsLevel<List> && detail::kCountsLevel<Json>);
static_assert(!detail::kCountsLevel<std::vector<Tree>> && !detail::kCountsLevel<std::map<int, std::string>>);

TEST(Recursion, Trees) {
  expect_round_trip(Tree{1, {{2, {}}, {3, {{4, {}}}}}});
  expect_round_trip(
      Json(std::vector<Json>{Json(1.5), Json("a"), Json(std::map<std::string, Json>{{"k", Json(nullptr)}})}),
      [](const Json& a, const Json& b) { return saved(a) == saved(b); });
}

List list_of(unsigned length) {
  List head;
  for (unsigned i = 1; i < length; ++i) {
    auto rest = std::make_unique<List>(std::move(head));
    head = List{0, std::move(rest)};
  }
  return head;
}

TEST(Recursion, DepthIsLimitedWhenSaving) {
  EXPECT_NO_THROW(saved(list_of(kMaxDepth)));
  EXPECT_THROW(saved(list_of(kMaxDepth + 1)), ArchiveError);
}

// Each level of such a list takes five bytes: a value and a flag that says that another follows.
TEST(Recursion, DepthIsLimitedWhenLoading) {
  const auto bytes_of = [](unsigned levels) {
    Writer writer;
    for (unsigned i = 0; i < levels; ++i) {
      writer.put(0);
      writer.put<char>(i + 1 < levels);
    }
    return writer.take();
  };
  EXPECT_NO_THROW(loaded<List>(bytes_of(kMaxDepth)));
  EXPECT_THROW(loaded<List>(bytes_of(kMaxDepth + 1)), ArchiveError);
  const Bytes ones(100'000, std::byte{1});  // one child in one child in one child...
  EXPECT_THROW(loaded<Custom>(ones), ArchiveError);
}

TEST(Recursion, LevelsEndAgain) {
  std::vector<Tree> wide(3 * kMaxDepth);
  expect_load_into<std::vector<Tree>>({}, wide);
}

}  // namespace
}  // namespace brood::wire
