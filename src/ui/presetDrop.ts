import type { Row } from '../core/present.js';
import type { PresetScope } from '../core/preset.js';
import { groupPresets, placePresets } from '../core/presetList.js';
import { sameScope, scopesOf, type PresetKey } from '../core/subject.js';
import { t } from '../core/translate.js';
import type { BelowForward } from './clientLists.js';
import type { Messages } from './messages.js';
import type { PresetFiles } from './presetFiles.js';

/** Puts presets that were dragged beside another one of their settings file, into a group, or out of it. */
export async function dropPresets(
  keys: readonly PresetKey[],
  target: Row | BelowForward,
  files: PresetFiles,
  messages: Pick<Messages, 'show'>,
): Promise<void> {
  const scopes = scopesOf(keys);
  const namesIn = (scope: PresetScope) => keys.filter((key) => sameScope(key.scope, scope)).map(({ name }) => name);
  switch (target.kind) {
    case 'presetGroup':
      for (const scope of scopes)
        await files.change(scope, (value) => groupPresets(value, namesIn(scope), target.name));
      return;
    case 'presets':
      for (const scope of scopes) await files.change(scope, (value) => groupPresets(value, namesIn(scope), undefined));
      return;
    case 'preset': {
      const { name, scope } = target.preset;
      const names = namesIn(scope);
      if (names.length > 0) await files.change(scope, (value) => placePresets(value, names, name));
      if (names.length === keys.length) return;
      const text = t('A preset is moved within its settings file. To save it in another one, edit it.');
      void messages.show('information', text);
      return;
    }
    default:
      return;
  }
}
