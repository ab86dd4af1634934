#include "os/memory.hpp"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cstring>

#include "os/support.hpp"

namespace brood::os {
namespace {

using testing::error_of;
using testing::Fault;

TEST(Memory, PageSize) { EXPECT_EQ(page_size(), static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))); }

TEST(Memory, MemfdIsSizedSealedAndCloseOnExec) {
  const Fd fd = make_memfd("brood-test", 10000);
  EXPECT_TRUE(testing::is_close_on_exec(fd.get()));
  struct stat status {};
  ASSERT_EQ(::fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_size, 10000);
  EXPECT_EQ(::ftruncate(fd.get(), 5000), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::ftruncate(fd.get(), 20000), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST(Memory, MemfdFailuresLeakNothing) {
  const int before = testing::count_fds();
  for (const Call call : {Call::memfd_create, Call::ftruncate, Call::fcntl}) {
    for (const int error : {EMFILE, ENOMEM}) {
      const Fault fault(call, error);
      EXPECT_EQ(error_of([] { make_memfd("brood-test", 4096); }), error);
    }
  }
  EXPECT_EQ(testing::count_fds(), before);
  EXPECT_EQ(error_of([] { make_memfd("brood-test", SIZE_MAX); }), EINVAL);
}

TEST(Memory, AGrowingMemfdCannotShrink) {
  const Fd fd = make_growing_memfd("brood-test", page_size());
  const Mapping before = Mapping::shared(fd.get(), 0, page_size(), Access::read_write);
  before.data()[1] = std::byte{5};
  grow_memfd(fd.get(), 3 * page_size());
  const Mapping after = Mapping::shared(fd.get(), 0, 3 * page_size(), Access::read_write);
  EXPECT_EQ(after.data()[1], std::byte{5});
  after.data()[3 * page_size() - 1] = std::byte{6};
  EXPECT_EQ(error_of([&] { grow_memfd(fd.get(), page_size()); }), EPERM);
  EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE), -1);
  {
    const Fault fault(Call::ftruncate, ENOMEM);
    EXPECT_EQ(error_of([&] { grow_memfd(fd.get(), 4 * page_size()); }), ENOMEM);
  }
  struct stat status {};
  ::fstat(fd.get(), &status);
  EXPECT_GT(status.st_blocks, 0);
  discard_memfd(fd.get(), 3 * page_size());
  EXPECT_EQ(after.data()[1], std::byte{0});
  EXPECT_EQ(before.data()[1], std::byte{0});
}

TEST(Memory, SharedMappingIsSeenByTheOtherProcess) {
  const Fd fd = make_memfd("brood-test", 2 * page_size());
  Mapping mine = Mapping::shared(fd.get(), page_size(), page_size(), Access::read_write);
  ASSERT_EQ(mine.size(), page_size());
  EXPECT_EQ(testing::run_in_child([&] {
              const Mapping own = Mapping::shared(fd.get(), page_size(), page_size(), Access::read_write);
              own.data()[7] = std::byte{42};
              return 0;
            }),
            0);
  EXPECT_EQ(mine.data()[7], std::byte{42});
}

TEST(Memory, ReadOnlyMappingCannotBeWritten) {
  const Fd fd = make_memfd("brood-test", page_size());
  EXPECT_EQ(testing::run_in_child([&] {
              ::signal(SIGSEGV, [](int) { ::_exit(77); });
              const Mapping mapping = Mapping::shared(fd.get(), 0, page_size(), Access::read);
              mapping.data()[0] = std::byte{1};
              return 0;
            }),
            77);
}

TEST(Memory, MirroredHalvesAreTheSameBytes) {
  const std::size_t bytes = 4 * page_size();
  const Fd fd = make_memfd("brood-test", page_size() + bytes);
  const Mapping mapping = Mapping::mirrored(fd.get(), page_size(), bytes, Access::read_write);
  ASSERT_EQ(mapping.size(), bytes);
  for (std::size_t i = 0; i < bytes; i += 1021) {
    mapping.data()[i] = static_cast<std::byte>(i);
    EXPECT_EQ(mapping.data()[i + bytes], static_cast<std::byte>(i));
    mapping.data()[i + bytes] = static_cast<std::byte>(i + 1);
    EXPECT_EQ(mapping.data()[i], static_cast<std::byte>(i + 1));
  }
  // A piece across the seam is contiguous.
  std::memcpy(mapping.data() + bytes - 3, "abcdef", 6);
  EXPECT_EQ(std::memcmp(mapping.data(), "def", 3), 0);
}

TEST(Memory, PiecesSideBySide) {
  const std::size_t page = page_size();
  const Fd fd = make_memfd("brood-test", 3 * page);
  const Mapping file = Mapping::shared(fd.get(), 0, 3 * page, Access::read_write);
  for (std::size_t i = 0; i < 3; ++i) file.data()[i * page] = static_cast<std::byte>(i + 1);
  using enum Access;
  const Piece pieces[] = {{2 * page, page, read_write}, {0, 2 * page, read}, {2 * page, page, read}};
  const Mapping mapping = Mapping::side_by_side(fd.get(), pieces);
  ASSERT_EQ(mapping.size(), 4 * page);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(static_cast<int>(mapping.data()[i * page]), "\3\1\2\3"[i]);
  }
  mapping.data()[5] = std::byte{9};
  EXPECT_EQ(mapping.data()[3 * page + 5], std::byte{9});
  EXPECT_EQ(testing::run_in_child([&] {
              ::signal(SIGSEGV, [](int) { ::_exit(77); });
              mapping.data()[page] = std::byte{1};
              return 0;
            }),
            77);
}

TEST(Memory, MirroredMisuse) {
  const Fd fd = make_memfd("brood-test", page_size());
  EXPECT_EQ(error_of([&] { Mapping::mirrored(fd.get(), 0, 0, Access::read); }), EINVAL);
  EXPECT_EQ(error_of([&] { Mapping::mirrored(fd.get(), 0, page_size() + 1, Access::read); }), EINVAL);
  EXPECT_EQ(error_of([&] { Mapping::mirrored(fd.get(), 1, page_size(), Access::read); }), EINVAL);
  EXPECT_EQ(error_of([&] { Mapping::mirrored(-1, 0, page_size(), Access::read); }), EBADF);
}

TEST(Memory, MappingFailures) {
  EXPECT_EQ(error_of([] { Mapping::shared(-1, 0, 4096, Access::read); }), EBADF);
  const Fd fd = make_memfd("brood-test", page_size());
  for (int nth = 1; nth <= 2; ++nth) {
    const Fault fault(Call::mmap, ENOMEM, nth);
    EXPECT_EQ(error_of([&] { Mapping::mirrored(fd.get(), 0, page_size(), Access::read); }), ENOMEM);
  }
  const Fault fault(Call::mmap, ENOMEM, 1, 2);
  EXPECT_EQ(error_of([] { Mapping::anonymous_shared(4096); }), ENOMEM);
  EXPECT_EQ(error_of([] { Mapping::anonymous_private(4096); }), ENOMEM);
}

TEST(Memory, MovesSwapsAndReleases) {
  Mapping a = Mapping::anonymous_shared(page_size());
  std::byte* const data = a.data();
  Mapping b = std::move(a);
  EXPECT_FALSE(a);
  EXPECT_EQ(b.data(), data);
  Mapping c = Mapping::anonymous_private(page_size());
  c = std::move(b);
  EXPECT_EQ(c.data(), data);
  EXPECT_EQ(c.release(), data);
  EXPECT_FALSE(c);
  data[0] = std::byte{1};  // still mapped
  EXPECT_EQ(::munmap(data, page_size()), 0);
}

TEST(Memory, UnmapsAtTheEnd) {
  std::byte* data = nullptr;
  {
    const Mapping mapping = Mapping::anonymous_private(page_size());
    data = mapping.data();
  }
  unsigned char resident = 0;
  EXPECT_EQ(::mincore(data, page_size(), &resident), -1);
  EXPECT_EQ(errno, ENOMEM);
}

TEST(Memory, AnonymousSharedAndPrivateAcrossFork) {
  const Mapping shared = Mapping::anonymous_shared(page_size());
  const Mapping mine = Mapping::anonymous_private(page_size());
  testing::run_in_child([&] {
    shared.data()[0] = mine.data()[0] = std::byte{9};
    return 0;
  });
  EXPECT_EQ(shared.data()[0], std::byte{9});
  EXPECT_EQ(mine.data()[0], std::byte{0});
}

// In the child the addresses belong to nobody, or to something new, which the inherited object must leave alone.
TEST(Memory, ExcludedFromFork) {
  Mapping mapping = Mapping::anonymous_shared(page_size());
  mapping.exclude_from_fork();
  const int code = testing::run_in_child([&] {
    unsigned char resident = 0;
    if (::mincore(mapping.data(), page_size(), &resident) != -1 || errno != ENOMEM) return 1;
    void* const there = ::mmap(mapping.data(), page_size(), PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (there != mapping.data()) return 2;
    { const Mapping inherited = std::move(mapping); }
    return ::mincore(there, page_size(), &resident) == 0 ? 0 : 3;
  });
  EXPECT_EQ(code, 0);
  mapping.data()[0] = std::byte{1};
  const Fault fault(Call::madvise, ENOMEM);
  EXPECT_EQ(error_of([&] { mapping.exclude_from_fork(); }), ENOMEM);
  Mapping().exclude_from_fork();
}

}  // namespace
}  // namespace brood::os
