#include "os/cpu.hpp"

#include <sched.h>

#include <filesystem>
#include <fstream>

#include "os/support.hpp"

namespace brood::os {
namespace {

// A made-up /proc and /sys.
class CgroupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "brood-cgroup-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void put(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ + path).substr(0, (root_ + path).rfind('/')));
    std::ofstream(root_ + path) << text;
  }

  std::string root_;
};

constexpr const char* kV2Mount = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr const char* kV1Mount =
    "33 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "34 25 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n";

TEST_F(CgroupTest, NoCgroups) { EXPECT_EQ(cgroup_cpu_limit(root_), 0); }

TEST_F(CgroupTest, V2) {
  put("/proc/self/mountinfo", kV2Mount);
  put("/proc/self/cgroup", "0::/a/b\n");
  EXPECT_EQ(cgroup_cpu_limit(root_), 0);
  put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  EXPECT_EQ(cgroup_cpu_limit(root_), 0);
  put("/sys/fs/cgroup/a/b/cpu.max", "150000 100000\n");
  EXPECT_DOUBLE_EQ(cgroup_cpu_limit(root_), 1.5);
  put("/sys/fs/cgroup/a/cpu.max", "50000 100000\n");  // the group above is tighter
  EXPECT_DOUBLE_EQ(cgroup_cpu_limit(root_), 0.5);
}

TEST_F(CgroupTest, V2AtTheRootOfAContainer) {
  put("/proc/self/mountinfo", kV2Mount);
  put("/proc/self/cgroup", "0::/\n");
  put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
  EXPECT_DOUBLE_EQ(cgroup_cpu_limit(root_), 3);
}

TEST_F(CgroupTest, V1) {
  put("/proc/self/mountinfo", kV1Mount);
  put("/proc/self/cgroup", "5:cpuset:/\n4:cpu,cpuacct:/docker/x\n0::/elsewhere\n");
  put("/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "-1\n");
  put("/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cgroup_cpu_limit(root_), 0);
  put("/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "250000\n");
  EXPECT_DOUBLE_EQ(cgroup_cpu_limit(root_), 2.5);
}

// /proc shows the path outside, the mount only what is inside.
TEST_F(CgroupTest, V1InsideAContainer) {
  put("/proc/self/mountinfo", "33 25 0:29 /docker/x /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n");
  put("/proc/self/cgroup", "4:cpu:/docker/x\n");
  put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n");
  put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "50000\n");
  EXPECT_DOUBLE_EQ(cgroup_cpu_limit(root_), 2);
}

TEST_F(CgroupTest, NonsenseIsNoLimit) {
  put("/proc/self/mountinfo", "nonsense\n\n1 2 3\n" + std::string(kV2Mount));
  put("/proc/self/cgroup", "nonsense\n:\n0::/../../up\n");
  put("/sys/fs/cgroup/cpu.max", "never -3\n");
  EXPECT_EQ(cgroup_cpu_limit(root_), 0);
}

TEST(Cpu, CountFollowsTheAffinityMask) {
  EXPECT_GE(cpu_count(), 1U);
  EXPECT_EQ(testing::run_in_child([] {
              cpu_set_t mask;
              ::sched_getaffinity(0, sizeof mask, &mask);
              if (cpu_count() > static_cast<unsigned>(CPU_COUNT(&mask))) return 1;
              std::size_t first = 0;
              while (!CPU_ISSET(first, &mask)) ++first;
              CPU_ZERO(&mask);
              CPU_SET(first, &mask);
              ::sched_setaffinity(0, sizeof mask, &mask);
              return cpu_count() == 1 ? 0 : 2;
            }),
            0);
}

TEST(Cpu, Faults) {
  for (const int error : {EINVAL, ENOMEM, EINTR}) {
    const testing::Fault fault(Call::sched_getaffinity, error, 1, 2);
    EXPECT_GE(cpu_count(), 1U);
  }
  cpu_relax();
}

}  // namespace
}  // namespace brood::os
