/* LD_PRELOAD: a process runs, at full speed, as on this x86 CPU without VNNI, AMX and AVX-512; NO_VNNI=avx512 keeps
 * AVX-512.
 *
 * CPUID is made to fault (arch_prctl(2), ARCH_SET_CPUID), and the handler answers with those bits taken out. Libraries
 * that ask CPUID then choose other kernels. /proc/cpuinfo stays as it is. Nothing else may handle SIGSEGV in the
 * process, so not Python's faulthandler either. Bits: Intel SDM, volume 2A, CPUID, leaf 7.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define BIT(n) (1u << (n))
#define CANNOT 77 /* exit code: CPUID can't be made to fault here */

static int keep_avx512;
static struct sigaction before;

static long cpuid_faults(int on) { return syscall(SYS_arch_prctl, 0x1012 /* ARCH_SET_CPUID */, !on); }

static void answer(int signal, siginfo_t *info, void *context) {
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *instruction = (const unsigned char *)r[REG_RIP];
    if (info->si_code != SI_KERNEL || instruction[0] != 0x0f || instruction[1] != 0xa2) { /* another fault */
        sigaction(signal, &before, NULL);
        return;
    }
    unsigned leaf = r[REG_RAX], subleaf = r[REG_RCX], a, b, c, d;
    cpuid_faults(0);
    __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(leaf), "c"(subleaf));
    cpuid_faults(1);
    if (leaf == 7 && subleaf == 0) {
        c &= ~BIT(11);                                                         /* AVX512_VNNI */
        d &= ~(BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25)); /* other AVX-512; AMX */
        if (!keep_avx512) {
            b &= ~(BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31));
            c &= ~(BIT(1) | BIT(6) | BIT(12) | BIT(14));
        }
    } else if (leaf == 7 && subleaf == 1) {
        a &= ~(BIT(4) | BIT(5) | BIT(21) | BIT(23));          /* AVX_VNNI, AVX512_BF16, AMX_FP16, AVX_IFMA */
        d &= ~(BIT(4) | BIT(5) | BIT(8) | BIT(10) | BIT(19)); /* AVX_VNNI_INT8 and later ones, AVX10 */
    }
    r[REG_RAX] = a;
    r[REG_RBX] = b;
    r[REG_RCX] = c;
    r[REG_RDX] = d;
    r[REG_RIP] += 2;
}

__attribute__((constructor)) static void start(void) {
    const char *mode = getenv("NO_VNNI");
    keep_avx512 = mode && !strcmp(mode, "avx512");
    struct sigaction action = {0};
    action.sa_sigaction = answer;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, &before);
    if (cpuid_faults(1) != 0) {
        const char words[] = "this CPU or kernel can't make CPUID fault (arch_prctl ARCH_SET_CPUID)\n";
        (void)!write(2, words, sizeof words - 1);
        _exit(CANNOT);
    }
}
