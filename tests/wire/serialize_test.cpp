// Types that say what they consist of.
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "round_trip.hpp"

namespace brood::wire {
namespace {

// Constructed from an int and in no other way. Its default constructor is private.
class Closed {
 public:
  explicit Closed(int value) : value_(value) {}
  bool operator==(const Closed&) const = default;

 private:
  friend class brood::Access;
  Closed() = default;
  template <class A>
  void serialize(A& archive) {
    archive(value_);
  }
  int value_ = 0;
};

class Cereal {
 public:
  Cereal() = default;
  Cereal(int a, std::string b) : a_(a), b_(std::move(b)) {}
  template <class A>
  void serialize(A& archive) {
    archive(a_, b_);
  }
  bool operator==(const Cereal&) const = default;

 private:
  int a_ = 0;
  std::string b_;
};

class Boost {
 public:
  Boost() = default;
  Boost(int a, std::string b) : a_(a), b_(std::move(b)) {}
  bool operator==(const Boost&) const = default;

 private:
  friend class brood::Access;
  template <class A>
  void serialize(A& archive, const unsigned version) {
    if (version == 0) archive& a_& b_;
  }
  int a_ = 0;
  std::string b_;
};

class Directions {
 public:
  int value = 0;
  template <class A>
  void serialize(A& archive) {
    if constexpr (A::is_saving::value) {
      archive << value + 1;
    } else {
      static_assert(A::is_loading::value);
      archive >> value;
    }
  }
};

class Sealed {
 public:
  explicit Sealed(int v = 0) : value(v) {}
  int value;
  bool operator==(const Sealed&) const = default;
};
template <class A>
void serialize(A& archive, Sealed& sealed) {
  archive(sealed.value);
}

TEST(Serialize, EveryForm) {
  expect_round_trip(Cereal(1, "a"));
  expect_round_trip(Boost(1, "a"));
  expect_round_trip(Sealed(5));
  expect_round_trip(Closed(5));
  expect_round_trip(std::vector<Closed>{Closed(1), Closed(2)});
  expect_round_trip(std::vector<Cereal>{{1, "a"}, {2, "b"}});
  Directions value;
  value.value = 1;
  EXPECT_EQ(loaded<Directions>(saved(value)).value, 2);
}

class Base {
 public:
  int a = 0;
  template <class A>
  void serialize(A& archive) {
    archive(a);
  }
  bool operator==(const Base&) const = default;
};
class Derived : public Base {
 public:
  int b = 0;
  bool operator==(const Derived&) const = default;
};
class Renamed : public Base {};
class Complete : public Base {
 public:
  int b = 0;
  template <class A>
  void serialize(A& archive) {
    Base::serialize(archive);
    archive(b);
  }
  bool operator==(const Complete&) const = default;
};
struct Numbers : std::vector<int> {
  using vector::vector;
};
struct NamedNumbers : std::vector<int> {
  using vector::vector;
  std::string name;
};

// What a derived class adds must not be lost without a word.
TEST(Serialize, Inherited) {
  static_assert(!Archivable<Derived>);
  static_assert(!Archivable<NamedNumbers>);
  expect_round_trip(Renamed());
  expect_round_trip(Numbers{1, 2});
  Complete value;
  value.a = 1;
  value.b = 2;
  expect_round_trip(value);
}

class Virtual {
 public:
  virtual ~Virtual() = default;
  int value = 0;
  template <class A>
  void serialize(A& archive) {
    archive(value);
  }
};

TEST(Serialize, ClassWithVirtualFunctions) {
  Virtual value;
  value.value = 3;
  EXPECT_EQ(loaded<Virtual>(saved(value)).value, 3);
}

class Immovable {
 public:
  Immovable() = default;
  Immovable(const Immovable&) = delete;
  int value = 0;
  template <class A>
  void serialize(A& archive) {
    archive(value);
  }
};

TEST(Serialize, ImmovableCanBeLoadedInto) {
  static_assert(!Archivable<Immovable>);
  Immovable first, second;
  first.value = 3;
  const Bytes bytes = saved(first);
  Reader reader{std::span<const std::byte>(bytes)};
  load_into(reader, second);
  EXPECT_EQ(second.value, 3);
}

struct Throws {
  template <class A>
  void serialize(A&) {
    throw std::runtime_error("no");
  }
};

TEST(Serialize, ItsExceptionsComeThrough) {
  Writer writer;
  writer.allow_references(true);
  EXPECT_THROW(save(writer, Throws()), std::runtime_error);
  EXPECT_TRUE(writer.references_allowed());
  writer.reset();
  save(writer, 5);
  EXPECT_EQ(loaded<int>(writer.take()), 5);
}

}  // namespace
}  // namespace brood::wire
