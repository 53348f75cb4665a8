/** In ms: of this thread's processor time where the runtime tells it, so that what else the machine does doesn't count. */
export function ownMs(): number {
  const { threadCpuUsage } = process as { threadCpuUsage?: () => { user: number; system: number } };
  if (!threadCpuUsage) return performance.now();
  const { user, system } = threadCpuUsage();
  return (user + system) / 1000;
}
